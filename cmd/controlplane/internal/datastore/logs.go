package datastore

import (
	"context"
	"io"

	"github.com/k3s-io/kine/pkg/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/storage/guarded"
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
	guarded.ForwardExit(logrus.StandardLogger())
}

// logRefusals returns what logs each write that the datastore did not
// take. Components write all the time, so a trouble that lasts is logged again
// only now and then; the clients get each error.
func logRefusals(ctx context.Context) func(error) {
	logger := klog.FromContext(ctx).WithName("datastore")
	sometimes := rate.Sometimes{First: 1, Interval: remindInterval}
	return func(err error) {
		sometimes.Do(func() {
			logger.Error(err, "The datastore does not take writes; they fail until it does",
				"remedy", "free space on the volume of --data-dir, or look at the database server")
		})
	}
}

// hook is a logrus hook that writes to klog. What kine calls information
// (which statement it runs at a start) is debugging for an operator.
type hook struct{ logger klog.Logger }

func (h *hook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *hook) Fire(entry *logrus.Entry) error {
	message := guarded.Loggable(entry.Message)
	switch {
	case entry.Level <= logrus.ErrorLevel:
		h.logger.Error(nil, message)
	case entry.Level == logrus.WarnLevel:
		h.logger.Info(message, "level", "warning")
	case entry.Level == logrus.InfoLevel:
		h.logger.V(2).Info(message)
	default:
		h.logger.V(4).Info(message)
	}
	return nil
}

// Collectors are kine's metrics, for the registry that /metrics serves.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{metrics.SQLTotal, metrics.SQLTime, metrics.CompactTotal, metrics.InsertErrorsTotal}
}
