// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDoor carries bytes straight to a server and through a door, and opens
// connections in both ways, so that the pairs tell what a door costs.
func BenchmarkDoor(b *testing.B) {
	_, target := echo(b)
	directory, err := os.MkdirTemp("", "egress")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(directory)
	door, err := Listen(directory, ClusterSocket, &Door{Bounds: Bounds{Own: everything{}}, Syncer: target})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = door.Run(b.Context()) }()
	ways := map[string]func() (net.Conn, error){
		"straight": func() (net.Conn, error) { return net.Dial("tcp", target.String()) },
		"door": func() (net.Conn, error) {
			connection, err := net.Dial("unix", filepath.Join(directory, ClusterSocket))
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(connection, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target)
			_, err = http.ReadResponse(bufio.NewReader(connection), nil)
			return connection, err
		},
	}
	for name, dial := range ways {
		b.Run("bytes/"+name, func(b *testing.B) {
			connection, err := dial()
			if err != nil {
				b.Fatal(err)
			}
			defer connection.Close()
			block := make([]byte, 32<<10)
			b.SetBytes(int64(len(block)))
			go func() {
				for range b.N {
					if _, err := connection.Write(block); err != nil {
						return
					}
				}
			}()
			if _, err := io.CopyN(io.Discard, connection, int64(b.N)*int64(len(block))); err != nil {
				b.Fatal(err)
			}
		})
		b.Run("connect/"+name, func(b *testing.B) {
			for range b.N {
				connection, err := dial()
				if err != nil {
					b.Fatal(err)
				}
				connection.Close()
			}
		})
	}
}
