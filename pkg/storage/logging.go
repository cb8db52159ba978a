// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/storage/guarded"
)

const redacted = "[datastore endpoint]"

// redactor takes the endpoint of a database, and the password in it, out of texts.
type redactor struct{ secrets []string }

func newRedactor(endpoint string) redactor {
	if endpoint == "" {
		return redactor{}
	}
	_, dsn, _ := strings.Cut(endpoint, "://")
	secrets := []string{endpoint, dsn}
	if password := password(dsn); password != "" {
		secrets = append(secrets, password)
		if plain, err := url.PathUnescape(password); err == nil && plain != password {
			secrets = append(secrets, plain)
		}
	}
	return redactor{secrets: secrets}
}

// password finds what stands between the first colon and the last at sign of
// user:password@host, which both URLs and MySQL's own form share.
func password(dsn string) string {
	credentials, _, found := cutLast(dsn, "@")
	if !found {
		return ""
	}
	_, password, _ := strings.Cut(credentials, ":")
	return password
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

func (r redactor) text(s string) string {
	for _, secret := range r.secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	return s
}

// error drops the chain of an error that names a secret, since the chain would show it.
func (r redactor) error(err error) error {
	if text := err.Error(); r.text(text) != text {
		return errors.New(r.text(text))
	}
	return err
}

// forwardLogs sends what kine logs to logger. kine knows only the standard
// logger of logrus, which nothing else in our processes uses.
func forwardLogs(logger klog.Logger, redact redactor) {
	logrus.SetOutput(io.Discard)
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	logrus.AddHook(&logHook{logger: logger, redact: redact})
	guarded.ForwardExit(logrus.StandardLogger())
}

type logHook struct {
	logger klog.Logger
	redact redactor
}

func (h *logHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *logHook) Fire(entry *logrus.Entry) error {
	message := h.redact.text(guarded.Loggable(entry.Message))
	switch entry.Level {
	case logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel:
		h.logger.Error(nil, message)
	case logrus.WarnLevel:
		h.logger.Info(message, "level", "warning")
	case logrus.InfoLevel:
		h.logger.V(2).Info(message)
	default:
		h.logger.V(6).Info(message)
	}
	return nil
}
