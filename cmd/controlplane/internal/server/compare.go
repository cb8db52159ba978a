//go:build !before_1_37

package server

import "k8s.io/apiserver/pkg/storage/cacher/consistency"

// compareSeldom lets the caches be compared with the database each compareInterval.
func compareSeldom() { consistency.CheckPeriod = compareInterval }
