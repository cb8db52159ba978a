// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// templateReference judges the form of a reference; that there is such a
// template is found out where it is applied.
func templateReference(ref *tenancy.TemplateReference, at *field.Path) field.ErrorList {
	if ref == nil {
		return nil
	}
	if ref.Name == "" {
		if ref.Version != "" || len(ref.Parameters) > 0 || ref.Sync {
			return field.ErrorList{field.Required(at.Child("name"), "version, parameters and sync belong to a template: name it")}
		}
		return nil
	}
	return templateVersion(ref.Version, at.Child("version"))
}

func hostClusterReference(ref tenancy.HostClusterReference, at *field.Path) field.ErrorList {
	if ref.Name == v1.LocalHostCluster {
		return nil
	}
	return field.ErrorList{field.NotSupported(at.Child("name"), ref.Name, []string{v1.LocalHostCluster})}
}

// access judges the form of the rules. Which users, groups and roles there are
// is known to the host and to the virtual cluster alone.
func access(rules []tenancy.AccessRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, rule := range rules {
		here := at.Index(i)
		if len(rule.Users)+len(rule.Groups) == 0 {
			errs = append(errs, field.Required(here, "name users, groups or both"))
		}
		errs = append(errs, subjects(rule.Users, here.Child("users"))...)
		errs = append(errs, subjects(rule.Groups, here.Child("groups"))...)
	}
	return errs
}

// kubeconfigSecret holds the name to what a tool looks for.
func kubeconfigSecret(secret *tenancy.KubeconfigSecret, at *field.Path) field.ErrorList {
	if secret == nil || secret.Format != tenancy.KubeconfigFormatClusterAPI {
		return nil
	}
	cluster, found := strings.CutSuffix(secret.Name, v1.ClusterAPISuffix)
	if !found || len(content.IsLabelValue(cluster)) > 0 || cluster == "" {
		return field.ErrorList{field.Invalid(at.Child("name"), secret.Name, "Cluster API reads the Secret NAME"+v1.ClusterAPISuffix+
			", where NAME is that of its Cluster and has at most 63 characters: name it so, or choose another format")}
	}
	return nil
}

func subjects(names []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range names {
		if name == "" {
			errs = append(errs, field.Required(at.Index(i), "an empty name stands for nobody: leave it out"))
		}
	}
	return errs
}
