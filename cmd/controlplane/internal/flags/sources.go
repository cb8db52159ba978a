package flags

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// DefaultConfigFile is read when it exists; a file named with --config must.
const DefaultConfigFile = "/etc/rancher/k3s/config.yaml"

// environment maps each documented variable to its flag.
func environment() map[string]string {
	return map[string]string{
		"K3S_CONFIG_FILE":        "config",
		"K3S_DEBUG":              "debug",
		"K3S_DATA_DIR":           "data-dir",
		"K3S_TOKEN":              "token",
		"K3S_TOKEN_FILE":         "token-file",
		"K3S_AGENT_TOKEN":        "agent-token",
		"K3S_AGENT_TOKEN_FILE":   "agent-token-file",
		"K3S_URL":                "server",
		"K3S_CLUSTER_INIT":       "cluster-init",
		"K3S_CLUSTER_RESET":      "cluster-reset",
		"K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
		"K3S_DATASTORE_CAFILE":   "datastore-cafile",
		"K3S_DATASTORE_CERTFILE": "datastore-certfile",
		"K3S_DATASTORE_KEYFILE":  "datastore-keyfile",
		"K3S_KUBECONFIG_OUTPUT":  "write-kubeconfig",
		"K3S_KUBECONFIG_MODE":    "write-kubeconfig-mode",
		"K3S_KUBECONFIG_GROUP":   "write-kubeconfig-group",
		"K3S_KUBECONFIG_NAME":    "write-kubeconfig-name",
	}
}

// MergeSources fills every flag that the command line left unset from the
// environment and the config files. A value in a file wins over the
// environment, and the command line over both; a list given on the command
// line replaces the file's whole list, as k3s documents it.
func MergeSources(flagSet *pflag.FlagSet, getenv func(string) string) error {
	given := map[string]bool{}
	flagSet.Visit(func(f *pflag.Flag) { given[f.Name] = true })

	config := flagSet.Lookup("config")
	if path := getenv("K3S_CONFIG_FILE"); path != "" && !given["config"] {
		if err := flagSet.Set("config", path); err != nil {
			return fmt.Errorf("environment K3S_CONFIG_FILE: %w", err)
		}
	}
	values, err := readConfig(config.Value.String(), config.Changed)
	if err != nil {
		return err
	}
	for _, key := range sortedKeys(values) {
		if given[key] {
			continue
		}
		if flagSet.Lookup(key) == nil || key == "config" {
			return fmt.Errorf("config file: unknown key %q", key)
		}
		for _, text := range values[key] {
			if err := flagSet.Set(key, text); err != nil {
				return fmt.Errorf("config file: key %q: %w", key, err)
			}
		}
		given[key] = true
	}

	variables := environment()
	for _, name := range sortedKeys(variables) {
		key := variables[name]
		text := getenv(name)
		if text == "" || given[key] || key == "config" {
			continue
		}
		if err := flagSet.Set(key, text); err != nil {
			return fmt.Errorf("environment %s: %w", name, err)
		}
	}
	return nil
}

// readConfig reads path and the *.yaml and *.yml files of path.d, in the order
// of their names. A later file replaces a key of an earlier one; "key+"
// appends instead.
func readConfig(path string, required bool) (map[string][]string, error) {
	files := []string{path}
	entries, err := os.ReadDir(path + ".d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("config folder %s.d: %w", path, err)
	}
	for _, entry := range entries {
		ext := filepath.Ext(entry.Name())
		if !entry.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(path+".d", entry.Name()))
		}
	}

	merged := map[string][]string{}
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && i == 0 && (!required || len(files) > 1) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("config file %s: %w", file, err)
		}
		if err := mergeFile(merged, raw); err != nil {
			return nil, fmt.Errorf("config file %s: %w", file, err)
		}
	}
	return merged, nil
}

func mergeFile(merged map[string][]string, raw []byte) error {
	var content map[string]any
	if err := yaml.Unmarshal(raw, &content); err != nil {
		return err
	}
	for _, key := range sortedKeys(content) {
		texts, err := texts(content[key])
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		if name, appends := strings.CutSuffix(key, "+"); appends {
			merged[name] = append(merged[name], texts...)
			continue
		}
		merged[key] = texts
	}
	return nil
}

// texts turns a YAML value into what would stand on the command line, one text
// for each time that the flag would be repeated.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		var all []string
		for _, item := range v {
			one, err := texts(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	case map[string]any:
		return nil, errors.New("want a value or a list, got a mapping")
	case float64:
		// YAML numbers arrive as float64; ports and modes are whole.
		if v == float64(int64(v)) {
			return []string{fmt.Sprintf("%d", int64(v))}, nil
		}
		return []string{fmt.Sprint(v)}, nil
	default:
		return []string{fmt.Sprint(v)}, nil
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
