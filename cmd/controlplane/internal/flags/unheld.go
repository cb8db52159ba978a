package flags

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// value is a flag whose text is kept without meaning, for flags that are only
// known so that they can be refused.
type value struct {
	text string
	kind string
}

func (v *value) String() string { return v.text }
func (v *value) Type() string   { return v.kind }
func (v *value) Set(text string) error {
	if v.kind == "bool" {
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false, got %q", text)
		}
		text = strconv.FormatBool(b)
	}
	v.text = text
	return nil
}

// unheld is a documented flag whose function this binary does not hold.
type unheld struct {
	name, shorthand, kind string
	// accepted is the one value that asks for what is the case anyway; empty
	// when there is none.
	accepted string
	// remedy completes "this binary holds no such function: …".
	remedy string
}

const (
	noAgents   = "no agent can join, the nodes of this cluster are brought by a syncer; leave the flag out"
	noEtcd     = "embedded etcd is not part of it; leave the flag out, or name an etcd cluster with --datastore-endpoint=https://…"
	noPackages = "it deploys no packaged components; leave the flag out"
	noRegistry = "it runs no container and mirrors no image; leave the flag out"
	noFlannel  = "it runs no flannel; leave the flag out and pass --flannel-backend=none"
)

// unheldFlags lists them with their remedies, in the order of k3s's help.
func unheldFlags() []unheld {
	return []unheld{
		{name: "agent-token", kind: "string", remedy: noAgents},
		{name: "agent-token-file", kind: "string", remedy: noAgents},
		{name: "server", shorthand: "s", kind: "string", remedy: "servers join by sharing a datastore; pass the same --datastore-endpoint and --token to each"},
		{name: "cluster-init", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "cluster-reset", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "cluster-reset-restore-path", kind: "string", remedy: noEtcd},
		{name: "apiserver-bind-address", kind: "string", remedy: "the API server has one listener; use --bind-address"},
		{name: "apiserver-port", kind: "int", remedy: "the API server has one listener; use --https-listen-port"},
		{name: "supervisor-port", kind: "int", remedy: "there is no separate supervisor; use --https-listen-port"},
		{name: "supervisor-metrics", kind: "bool", accepted: "false", remedy: "there is no supervisor; metrics of all parts are served at /metrics of the API server"},
		{name: "tls-san-security", kind: "bool", accepted: "true", remedy: "the serving certificate never grows names that callers ask for; name them with --tls-san"},
		{name: "disable-apiserver", kind: "bool", accepted: "false", remedy: "the API server is what it is for; leave the flag out"},
		{name: "flannel-external-ip", kind: "bool", accepted: "false", remedy: noFlannel},
		{name: "flannel-ipv6-masq", kind: "bool", accepted: "false", remedy: noFlannel},
		{name: "servicelb-namespace", kind: "string", remedy: noPackages},
		{name: "default-local-storage-path", kind: "string", remedy: noPackages},
		{name: "helm-controller-arg", kind: "string", remedy: noPackages},
		{name: "helm-job-image", kind: "string", remedy: noPackages},
		{name: "kube-cloud-controller-manager-arg", kind: "string", remedy: "it runs no cloud controller manager; leave the flag out"},
		{name: "embedded-registry", kind: "bool", accepted: "false", remedy: noRegistry},
		{name: "system-default-registry", kind: "string", remedy: noRegistry},
		{name: "rootless", kind: "bool", accepted: "false", remedy: "it needs no root and no user namespace; start it as any user"},
		{name: "secrets-encryption", kind: "bool", accepted: "false", remedy: "use --kube-apiserver-arg=encryption-provider-config=FILE"},
		{name: "secrets-encryption-provider", kind: "string", remedy: "use --kube-apiserver-arg=encryption-provider-config=FILE"},
		{name: "etcd-arg", kind: "string", remedy: noEtcd},
		{name: "etcd-expose-metrics", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "etcd-disable-snapshots", kind: "bool", accepted: "true", remedy: noEtcd},
		{name: "etcd-snapshot-name", kind: "string", remedy: noEtcd},
		{name: "etcd-snapshot-schedule-cron", kind: "string", remedy: noEtcd},
		{name: "etcd-snapshot-reconcile-interval", kind: "string", remedy: noEtcd},
		{name: "etcd-snapshot-retention", kind: "int", remedy: noEtcd},
		{name: "etcd-snapshot-dir", kind: "string", remedy: noEtcd},
		{name: "etcd-snapshot-compress", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "etcd-s3", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "etcd-s3-endpoint", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-endpoint-ca", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-skip-ssl-verify", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "etcd-s3-access-key", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-secret-key", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-session-token", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-bucket", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-bucket-lookup-type", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-region", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-folder", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-proxy", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-config-secret", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-insecure", kind: "bool", accepted: "false", remedy: noEtcd},
		{name: "etcd-s3-timeout", kind: "string", remedy: noEtcd},
		{name: "etcd-s3-retention", kind: "int", remedy: noEtcd},
	}
}

func addUnheld(fs *pflag.FlagSet) {
	for _, u := range unheldFlags() {
		usage := "(not held) Refused: " + u.remedy
		if u.accepted != "" {
			usage = "(not held) Only " + u.accepted + " is accepted: " + u.remedy
		}
		f := fs.VarPF(&value{kind: u.kind}, u.name, u.shorthand, usage)
		if u.kind == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// refusals tells, for each flag that was given and asks for what this binary
// does not hold, what to do instead.
func refusals(fs *pflag.FlagSet) []error {
	var errs []error
	for _, u := range unheldFlags() {
		f := fs.Lookup(u.name)
		if f == nil || !f.Changed {
			continue
		}
		if u.accepted != "" && f.Value.String() == u.accepted {
			continue
		}
		errs = append(errs, fmt.Errorf("--%s: this binary does not hold that function: %s", u.name, u.remedy))
	}
	return errs
}
