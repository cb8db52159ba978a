// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	v1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
)

// widest is how much of a value is shown in a table.
const widest = 48

// print shows an explanation to a person.
func print(out io.Writer, told *v1alpha1.Explanation, all bool) error {
	fmt.Fprintln(out, headline(told))
	for _, reason := range told.Reasons {
		fmt.Fprintf(out, "  %s: %s\n", plain(reason.Reason), plain(reason.Message))
	}
	var rows [][]string
	same := 0
	for _, field := range told.Fields {
		if field.Verdict == v1alpha1.Copied && !all {
			same++
			continue
		}
		path := plain(field.Field)
		if field.HostField != "" {
			path += " → " + short(lastOf(field.HostField))
		}
		rows = append(rows, []string{path, string(field.Verdict), short(field.Inside), short(field.Host), plain(field.Why)})
	}
	if err := table(out, rows, "FIELD", "VERDICT", "INSIDE", "HOST", "WHY"); err != nil {
		return err
	}
	if same > 0 {
		fmt.Fprintf(out, "\n%d more fields are the same on both sides; --all shows them\n", same)
	}
	rows = nil
	for _, condition := range told.Conditions {
		rows = append(rows, []string{plain(condition.Type), string(condition.Side), plain(condition.Status), plain(condition.Reason), plain(condition.Message)})
	}
	if err := table(out, rows, "CONDITION", "SIDE", "STATUS", "REASON", "MESSAGE"); err != nil {
		return err
	}
	rows = nil
	for _, event := range told.Events {
		rows = append(rows, []string{event.Last.Local().Format(time.DateTime), string(event.Side), plain(event.Type), plain(event.Reason), plain(event.Message)})
	}
	if err := table(out, rows, "EVENT", "SIDE", "TYPE", "REASON", "MESSAGE"); err != nil {
		return err
	}
	if told.Withheld != "" {
		fmt.Fprintln(out, "\nnot shown: "+plain(told.Withheld))
	}
	return nil
}

func headline(told *v1alpha1.Explanation) string {
	name := told.Name
	if told.Namespace != "" {
		name = told.Namespace + "/" + name
	}
	onHost := ""
	if told.Host != nil {
		onHost = told.Host.Name
		if told.Host.Namespace != "" {
			onHost = told.Host.Namespace + "/" + onHost
		}
	}
	what := plain(told.Resource + " " + name)
	switch told.State {
	case v1alpha1.OnHost:
		if told.Direction == v1alpha1.FromHost {
			return what + " is shown of " + plain(onHost) + " on the host"
		}
		return what + " is on the host, as " + plain(onHost)
	case v1alpha1.Differs:
		return what + " is on the host, as " + plain(onHost) + ", and not as it asks now"
	case v1alpha1.Refused:
		return what + " is not on the host: it is refused"
	case v1alpha1.Pending:
		return what + " is not on the host yet"
	}
	return what + " is not on the host, and needs not be"
}

func table(out io.Writer, rows [][]string, header ...string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// plain takes out of a text what a terminal would act on.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

func short(text string) string {
	runes := []rune(plain(text))
	if len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return string(runes)
}

// lastOf is the last step of a path, which is where it differs from that inside.
func lastOf(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[strings.LastIndex(path, "["):]
	}
	return path
}
