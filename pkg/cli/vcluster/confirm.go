// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli/host"
)

// HasTerminal says whether somebody sees what is asked, and can answer.
func HasTerminal(streams genericiooptions.IOStreams) bool {
	for _, stream := range []any{streams.In, streams.ErrOut} {
		file, ok := stream.(*os.File)
		if !ok || !term.IsTerminal(int(file.Fd())) {
			return false
		}
	}
	return true
}

// confirm returns an error unless somebody at the terminal says yes.
func (c *Commands) confirm(ctx context.Context) error {
	if !c.Terminal {
		return host.Misuse(errors.New("nobody can be asked whether to go on: there is no terminal"), "add --yes to go on without a question")
	}
	fmt.Fprint(c.Streams.ErrOut, "type yes to go on: ")
	// A read cannot be interrupted, and an interrupted command must not wait for it.
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.Streams.In).ReadString('\n')
		answered <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		c.say("")
		return ctx.Err()
	case answer := <-answered:
		if answer != "yes" {
			return host.Advise(errors.New("nothing was changed: the answer was not yes"), "run it again and type yes, or add --yes")
		}
		return nil
	}
}
