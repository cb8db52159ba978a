package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// runMain makes the test binary the program itself: a real process, with real
// signals, and nothing to build beside it.
const runMain = "CONTROLPLANE_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a machine that compiles something else at the same time
// may take for a start.
const patience = time.Minute

// process is one run of the program.
type process struct {
	*exec.Cmd
	port       int
	dir        string
	kubeconfig string
	log        *buffer
	ended      chan struct{}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// program returns the program with arguments, not started.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runMain+"=1")
	return cmd
}

// shortDir is a folder whose path leaves room for the name of a socket.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "cp")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// freeAddress is an address of this machine on which nothing listens.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(tb)))
}

// lastPort is where freePort goes on.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(10_000)) }

// freePort is a port on which nothing listens. It is none that the system gives to
// those who ask for any, in the time until a server listens here.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 8000 + int(lastPort.Add(1)%10_000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	tb.Fatal("no free port")
	return 0
}

// start starts a server on dir. It does not wait for it.
func start(tb testing.TB, dir string, port int, args ...string) *process {
	tb.Helper()
	p := &process{port: port, dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig"), log: &buffer{}, ended: make(chan struct{})}
	p.Cmd = program(append([]string{
		"server", "--data-dir=" + dir, "--https-listen-port=" + strconv.Itoa(port),
		"--bind-address=127.0.0.1", "--advertise-address=192.0.2.1",
		"--disable-agent", "--disable-scheduler", "--disable-cloud-controller", "--disable-network-policy",
		"--disable-helm-controller", "--disable-kube-proxy", "--disable=coredns,servicelb",
		"--flannel-backend=none", "--egress-selector-mode=disabled",
		"--write-kubeconfig=" + p.kubeconfig,
	}, args...)...)
	p.Stdout, p.Stderr = p.log, p.log
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	tb.Cleanup(p.kill)
	return p
}

// until polls condition; it fails the test when patience or the process ends.
func (p *process) until(tb testing.TB, what string, condition func() error) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			tb.Fatalf("waiting for %s: the server ended (last: %v):\n%s", what, err, p.log)
		case <-deadline:
			tb.Fatalf("waiting for %s: %v:\n%s", what, err, p.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ready waits for this run's kubeconfig, which appears once /readyz is OK.
func (p *process) ready(tb testing.TB) *rest.Config {
	tb.Helper()
	p.until(tb, "the server to be ready", func() error {
		if !strings.Contains(p.log.String(), "Control plane started") {
			return errors.New("not started yet")
		}
		return nil
	})
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	config.QPS = -1
	return config
}

func (p *process) client(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	client, err := kubernetes.NewForConfig(p.ready(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// kill ends the process as the kernel does when memory is short.
func (p *process) kill() {
	_ = p.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// stop asks the process to end and returns its exit code.
func (p *process) stop(tb testing.TB) int {
	tb.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		tb.Fatalf("the server does not stop:\n%s", p.log)
	}
	return p.ProcessState.ExitCode()
}

// makeSeedFile runs the seed command.
func makeSeedFile(tb testing.TB, path string) {
	tb.Helper()
	out, err := program("seed", "--output", path).CombinedOutput()
	if err != nil {
		tb.Fatalf("seed: %v\n%s", err, out)
	}
}

// installSeed puts the seed where a server looks for it: beside the program.
func installSeed(tb testing.TB) {
	tb.Helper()
	place := filepath.Join(filepath.Dir(os.Args[0]), "controlplane.db")
	makeSeedFile(tb, place)
	tb.Cleanup(func() { os.Remove(place) })
}

func background() context.Context { return context.Background() }

func want[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Error(fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
}
