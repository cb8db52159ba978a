// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// service stands for a Service and its endpoints: a new connection goes to a
// replica that was ready when it was last probed, connections that are open
// stay where they are, and a replica that is not ready any more gets no more.
// Bytes are passed on as they are.
type service struct {
	listener net.Listener
	probe    *http.Client

	mu    sync.Mutex
	ready map[string]bool
	next  int
}

const (
	// probePeriod is shorter than a kubelet's.
	probePeriod = 100 * time.Millisecond
	// unanswered is how many probes in a row have no answer until a replica counts
	// as not ready, as with a kubelet: a busy machine is late with one.
	unanswered = 3
)

func newService() (*service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &service{listener: listener, ready: map[string]bool{}, probe: &http.Client{
		Timeout: 5 * time.Second, // the machine is busier than a node should be
		// As a kubelet's probe, which verifies nothing and keeps no connection.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}}
	go s.accept()
	return s, nil
}

func (s *service) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *service) stop() { s.listener.Close() }

// add probes the replica until the function that it returns is called.
func (s *service) add(address string) (remove func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		silent := 0
		for {
			response, err := s.probe.Get("https://" + address + "/readyz")
			if err == nil {
				silent = 0
				response.Body.Close()
			} else {
				silent++
			}
			if err == nil || silent >= unanswered {
				s.mu.Lock()
				s.ready[address] = err == nil && response.StatusCode == http.StatusOK
				s.mu.Unlock()
			}
			select {
			case <-stop:
				return
			case <-time.After(probePeriod):
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-stopped
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.ready, address)
	})
}

// endpoint chooses one of the ready replicas, in turn.
func (s *service) endpoint() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ready []string
	for address, ok := range s.ready {
		if ok {
			ready = append(ready, address)
		}
	}
	if len(ready) == 0 {
		return "", false
	}
	s.next++
	return ready[s.next%len(ready)], true
}

func (s *service) isReady(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready[address]
}

func (s *service) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.carry(conn.(*net.TCPConn))
	}
}

func (s *service) carry(near *net.TCPConn) {
	defer near.Close()
	address, ok := s.endpoint()
	if !ok {
		_ = near.SetLinger(0) // without endpoints a connection is refused
		return
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		_ = near.SetLinger(0)
		return
	}
	far := conn.(*net.TCPConn)
	defer far.Close()
	var group sync.WaitGroup
	for _, each := range [][2]*net.TCPConn{{near, far}, {far, near}} {
		group.Go(func() {
			if _, err := io.Copy(each[0], each[1]); err != nil {
				_ = each[0].SetLinger(0)
				each[0].Close()
				return
			}
			_ = each[0].CloseWrite()
		})
	}
	group.Wait()
}
