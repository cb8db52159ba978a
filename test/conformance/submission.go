// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Product is what the drafts for the CNCF's programme say.
type Product struct {
	// Version is that of Garret, Kubernetes that of the virtual cluster.
	Version, Kubernetes string
}

// junitFile is what the suite's framework writes into the folder of a part.
const junitFile = "junit_01.xml"

// junit is what the merged report keeps of those of the parts.
type junit struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"`
	Status  string   `xml:"status,attr,omitempty"`
	Skipped *content `xml:"skipped"`
	Failure *content `xml:"failure"`
	Error   *content `xml:"error"`
	Out     *content `xml:"system-out"`
	Err     *content `xml:"system-err"`
}

type content struct {
	Message string `xml:"message,attr,omitempty"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func (c junitCase) good() bool { return c.Failure == nil && c.Error == nil }

// Submit writes what the CNCF's programme asks for into the folder out, from the run
// in dir: the log and the report of all parts, and drafts for a person to complete.
func Submit(dir, out string, product Product) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	folders, err := parts(dir)
	if err != nil {
		return err
	}
	if err := joinLogs(folders, filepath.Join(out, "e2e.log")); err != nil {
		return err
	}
	if err := joinReports(folders, filepath.Join(out, junitFile)); err != nil {
		return err
	}
	for name, text := range map[string]string{"PRODUCT.yaml": productYAML, "README.md": readme} {
		text = strings.NewReplacer("VERSION", product.Version, "KUBERNETES", product.Kubernetes).Replace(text)
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func joinLogs(folders []string, out string) error {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, folder := range folders {
		part, err := os.Open(filepath.Join(folder, "e2e.log"))
		if err != nil {
			return err
		}
		_, err = io.Copy(file, part)
		part.Close()
		if err != nil {
			return err
		}
	}
	return file.Close()
}

// joinReports keeps the last attempt of each spec that was run, unless one before
// passed.
func joinReports(folders []string, out string) error {
	cases := map[string]junitCase{}
	for _, folder := range folders {
		data, err := os.ReadFile(filepath.Join(folder, junitFile))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		var part junit
		if err := xml.Unmarshal(data, &part); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(folder, junitFile), err)
		}
		for _, suite := range part.Suites {
			for _, spec := range suite.Cases {
				before, known := cases[spec.Name]
				if spec.Skipped != nil && known || known && before.Skipped == nil && before.good() {
					continue
				}
				cases[spec.Name] = spec
			}
		}
	}
	merged := junitSuite{Name: "Kubernetes e2e suite", Tests: len(cases)}
	for _, spec := range cases {
		if !spec.good() {
			merged.Failures++
		}
		merged.Cases = append(merged.Cases, spec)
	}
	slices.SortFunc(merged.Cases, func(a, b junitCase) int { return strings.Compare(a.Name, b.Name) })
	data, err := xml.MarshalIndent(junit{Suites: []junitSuite{merged}}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append([]byte(xml.Header), data...), 0o644)
}

const productYAML = `# A draft: whoever submits it completes what is empty.
vendor: ""
name: Garret
version: VERSION
type: distribution
description: Virtual Kubernetes clusters inside namespaces of a host cluster.
website_url: ""
repo_url: ""
documentation_url: ""
product_logo_url: ""
contact_email_address: ""
`

const readme = "# Conformance of Garret VERSION with Kubernetes KUBERNETES\n" + `
A draft: whoever submits it runs the suite anew on a cluster of theirs.

1. Install Garret: ` + "`garret install`" + `.
2. Bind the ClusterRole garret-privileged-pods to who makes the virtual cluster, and let its
   namespace take privileged pods:
   ` + "`kubectl label namespace conformance pod-security.kubernetes.io/enforce=privileged`" + `.
3. Make the virtual cluster with isolation.podSecurity: privileged and nothing else:
   ` + "`garret create conformance -n conformance -f virtualcluster.yaml`" + `.
4. Take a credential that outlives the suite:
   ` + "`garret kubeconfig conformance -n conformance --expiration 24h > conformance.kubeconfig`" + `.
5. Run the suite of the same version with that kubeconfig, all specs with [Conformance].

e2e.log and junit_01.xml are those of all parts of the run, in which a spec that failed was
run again.
`
