package bootstrap

import (
	"context"
	"fmt"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"
	schedulingrest "k8s.io/kubernetes/pkg/registry/scheduling/rest"
)

// check tells whether a hook would find everything as it wants it.
type check func(context.Context, kubernetes.Interface) (bool, error)

// Hooks replaces the bootstrap hooks of one server.
type Hooks struct {
	config   *genericapiserver.Config
	replaced map[string]check
}

// Take keeps the server that config is for from registering the bootstrap
// hooks. A hook that is disabled already, as that of RBAC is when RBAC is off,
// stays so. Register must follow when the server exists.
func Take(config *genericapiserver.Config) *Hooks {
	h := &Hooks{config: config, replaced: map[string]check{}}
	for name, complete := range map[string]check{
		rbacrest.PostStartHookName:       rolesComplete,
		schedulingrest.PostStartHookName: priorityClassesComplete,
	} {
		if !config.DisabledPostStartHooks.Has(name) {
			config.DisabledPostStartHooks.Insert(name)
			h.replaced[name] = complete
		}
	}
	return h
}

// Register registers the replacements under upstream's names with the server
// that runs the hooks, which is the last of a chain.
func (h *Hooks) Register(server *genericapiserver.GenericAPIServer) error {
	originals := map[string]genericapiserver.PostStartHookFunc{}
	for _, provider := range []interface {
		PostStartHook() (string, genericapiserver.PostStartHookFunc, error)
	}{rbacrest.RESTStorageProvider{}, schedulingrest.RESTStorageProvider{}} {
		name, hook, err := provider.PostStartHook()
		if err != nil {
			return fmt.Errorf("bootstrap hooks: %w", err)
		}
		originals[name] = hook
	}
	for name, complete := range h.replaced {
		// The set is the server's too.
		h.config.DisabledPostStartHooks.Delete(name)
		if err := server.AddPostStartHook(name, unlessComplete(name, complete, originals[name])); err != nil {
			return fmt.Errorf("bootstrap hooks: %w", err)
		}
	}
	return nil
}

func unlessComplete(name string, complete check, original genericapiserver.PostStartHookFunc) genericapiserver.PostStartHookFunc {
	return func(hook genericapiserver.PostStartHookContext) error {
		logger := klog.FromContext(hook).WithValues("hook", name)
		client, err := kubernetes.NewForConfig(hook.LoopbackClientConfig)
		if err != nil {
			return fmt.Errorf("bootstrap hook %s: %w", name, err)
		}
		done, err := complete(hook, client)
		switch {
		case err != nil:
			logger.V(1).Info("Bootstrap objects could not be compared", "reason", err.Error())
		case done:
			logger.V(2).Info("Bootstrap objects are all there")
			return nil
		}
		return original(hook)
	}
}
