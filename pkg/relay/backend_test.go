// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

// backend stands where the API server inside does. It speaks TLS as that one
// would, and below it notes every byte, or says whatever a test wants said,
// without net/http to make it proper.
type backend struct {
	// answer speaks on a stream of HTTP/2, and upgraded on a connection of
	// HTTP/1.1 whose request has come. Without them "inside" is answered.
	answer   func(*stream)
	upgraded func(conn net.Conn, request string)

	listener net.Listener
	mu       sync.Mutex
	requests []*received
	reset    chan http2.ErrCode
}

// received is one request as it came.
type received struct {
	// head is the fields in the order of their names, one a line, or, of
	// HTTP/1.1, the bytes.
	head string
	body string
	// whole is that the request's end came.
	whole bool
}

// newHostileFront is a front before a backend.
func newHostileFront(tb testing.TB) (*front, *backend) {
	tb.Helper()
	f := newFront(tb, nil)
	b := &backend{reset: make(chan http2.ErrCode, 16)}
	certificate := f.inside.ServerCA.Server(time.Now().Add(time.Hour), v1.ServerName("demo", "team"))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}, ClientAuth: tls.RequireAnyClientCert,
	})
	if err != nil {
		tb.Fatal(err)
	}
	b.listener = listener
	go b.accept()
	tb.Cleanup(func() { listener.Close() })
	api := access.Address(f.inside.VirtualCluster, v1.PortHTTPS)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != api {
			return f.inside.Dial(ctx, network, address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, listener.Addr().String())
	}
	f.relay = f.newRelay(clock.RealClock{})
	f.relay.connections.dial = dial
	return f, b
}

func (b *backend) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.serve(conn.(*tls.Conn))
	}
}

func (b *backend) serve(conn *tls.Conn) {
	defer conn.Close()
	if conn.Handshake() != nil {
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		b.serveStreams(conn)
		return
	}
	head := readHead(conn)
	b.note(&received{head: head, whole: true})
	if b.upgraded != nil {
		b.upgraded(conn, head)
		return
	}
	io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\ninside")
}

// readHead reads to the empty line, and not a byte more.
func readHead(r io.Reader) string {
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := r.Read(one); err != nil {
			break
		}
		head = append(head, one[0])
	}
	return string(head)
}

func (b *backend) note(r *received) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, r)
}

// serveStreams reads the frames of one connection.
func (b *backend) serveStreams(conn net.Conn) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	framer.AllowIllegalWrites = true
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = 4 << 20
	framer.SetMaxReadFrameSize(1 << 20)
	writing := &sync.Mutex{}
	open := map[uint32]*received{}
	framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		writing.Lock()
		id, ended := frame.Header().StreamID, false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				framer.WritePing(true, frame.Data)
			}
		case *http2.MetaHeadersFrame:
			if open[id] == nil {
				open[id] = &received{head: fields(frame)}
				b.note(open[id])
			} else {
				b.mu.Lock()
				open[id].head += "trailers:\n" + fields(frame)
				b.mu.Unlock()
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			b.mu.Lock()
			open[id].body += string(frame.Data())
			b.mu.Unlock()
			if n := len(frame.Data()); n > 0 {
				framer.WriteWindowUpdate(0, uint32(n))
				framer.WriteWindowUpdate(id, uint32(n))
			}
			ended = frame.StreamEnded()
		case *http2.RSTStreamFrame:
			select {
			case b.reset <- frame.ErrCode:
			default: // nobody asks for that many
			}
		}
		writing.Unlock()
		if ended {
			b.mu.Lock()
			open[id].whole = true
			b.mu.Unlock()
			s := &stream{id: id, framer: framer, conn: conn, writing: writing}
			go b.speak(s)
		}
	}
}

func fields(frame *http2.MetaHeadersFrame) string {
	var lines []string
	for _, field := range frame.Fields {
		lines = append(lines, field.Name+": "+field.Value+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (b *backend) speak(s *stream) {
	if b.answer != nil {
		b.answer(s)
		return
	}
	s.head(false, ":status", "200")
	s.data("inside", true)
}

// stream is where a backend answers. Its writes may fail when the relay has
// seen enough.
type stream struct {
	id      uint32
	framer  *http2.Framer
	conn    net.Conn
	writing *sync.Mutex
}

// head sends a block of header fields, given as names and values.
func (s *stream) head(end bool, namesAndValues ...string) {
	s.writing.Lock()
	defer s.writing.Unlock()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(namesAndValues); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	const most = 16 << 10
	first := block.Next(most)
	s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: first, EndStream: end, EndHeaders: block.Len() == 0})
	for block.Len() > 0 {
		fragment := block.Next(most)
		s.framer.WriteContinuation(s.id, block.Len() == 0, fragment)
	}
}

// write writes a frame that is none of the usual ones, while nobody else writes.
func (s *stream) write(frame func(*http2.Framer)) {
	s.writing.Lock()
	defer s.writing.Unlock()
	frame(s.framer)
}

func (s *stream) data(data string, end bool) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.framer.WriteData(s.id, end, []byte(data))
}

func (s *stream) cut() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.framer.WriteRSTStream(s.id, http2.ErrCodeInternal)
}

// only is the one request that came.
func (b *backend) only(t *testing.T) *received {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) != 1 {
		t.Fatalf("%d requests arrived inside, want 1", len(b.requests))
	}
	return b.requests[0]
}

func (b *backend) none(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		t.Errorf("this arrived inside, want nothing:\n%s", r.head)
	}
}

// sealedFields are the fields of a request by alice, who administers, with
// these beside them.
func sealedFields(method, path string, more ...string) string {
	lines := append([]string{
		":authority: vc-demo.team.svc\n", ":method: " + method + "\n", ":path: " + path + "\n", ":scheme: https\n",
		"impersonate-group: garret:admins\n", "impersonate-group: host:dev\n", "impersonate-group: host:system:authenticated\n",
		"impersonate-user: host:alice\n",
	}, more...)
	if !slices.ContainsFunc(more, func(line string) bool { return strings.HasPrefix(line, "x-forwarded-for:") }) {
		lines = append(lines, "x-forwarded-for: 127.0.0.1\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// send writes bytes to the front and returns all that it says, until it closes
// the connection; the request should ask for that.
func (f *front) send(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(conn, request)
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatalf("read answer: %v", err)
	}
	return string(answer)
}

// codeOf is the code of an answer in bytes.
func codeOf(t *testing.T, answer string) int {
	t.Helper()
	var major, minor, code int
	if _, err := fmt.Sscanf(answer, "HTTP/%d.%d %d", &major, &minor, &code); err != nil {
		t.Fatalf("answered %q, which is no HTTP", answer)
	}
	return code
}

// withoutDate takes the one header off an answer that changes.
func withoutDate(answer string) string {
	var kept []string
	for line := range strings.SplitAfterSeq(answer, "\r\n") {
		if !strings.HasPrefix(line, "Date: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// quiet swallows the complaints of a server that is spoken to wrongly.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
