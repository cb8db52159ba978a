//go:build before_1_37

package server

import "k8s.io/apiserver/pkg/storage/cacher"

func init() { cacher.ConsistencyCheckPeriod = checkPeriod }
