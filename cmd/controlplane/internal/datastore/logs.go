package datastore

import (
	"context"
	"io"

	"github.com/k3s-io/kine/pkg/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
)

// RouteLogs sends what kine logs to the logger of ctx. kine uses logrus'
// global logger, so this is called once, by the program's entry.
func RouteLogs(ctx context.Context) {
	logrus.SetOutput(io.Discard)
	logger := klog.FromContext(ctx).WithName("kine")
	if logger.V(4).Enabled() {
		logrus.SetLevel(logrus.DebugLevel)
	}
	logrus.AddHook(&hook{logger: logger})
}

// hook is a logrus hook that writes to klog. What kine calls information
// (which statement it runs at a start) is debugging for an operator.
type hook struct{ logger klog.Logger }

func (h *hook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *hook) Fire(entry *logrus.Entry) error {
	switch {
	case entry.Level <= logrus.ErrorLevel:
		h.logger.Error(nil, entry.Message)
	case entry.Level == logrus.WarnLevel:
		h.logger.Info(entry.Message, "level", "warning")
	case entry.Level == logrus.InfoLevel:
		h.logger.V(2).Info(entry.Message)
	default:
		h.logger.V(4).Info(entry.Message)
	}
	return nil
}

// Collectors are kine's metrics, for the registry that /metrics serves.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{metrics.SQLTotal, metrics.SQLTime, metrics.CompactTotal, metrics.InsertErrorsTotal}
}
