// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:openapi-model-package=dev.garret.garret.apis.tenancy.v1
// +k8s:deepcopy-gen=package
// +k8s:conversion-gen=garret.dev/garret/apis/tenancy
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=tenancy.garret.dev

// Package v1 is the first stable version of the group tenancy.garret.dev.
package v1 // import "garret.dev/garret/apis/tenancy/v1"
