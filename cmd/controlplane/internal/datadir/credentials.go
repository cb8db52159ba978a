package datadir

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/util/keyutil"
)

// EnsureCredentials makes whatever certificate or key is missing, about to
// expire, or no longer what it should be, and returns the names of the
// certificates it issued. It may be called at any time while the server runs:
// the components read their files again.
func (l Layout) EnsureCredentials(sans []string, now time.Time) (issued []string, err error) {
	signers := map[string]*authority{}
	for _, name := range authorities() {
		if signers[name], err = l.authority(name, now); err != nil {
			return nil, err
		}
	}
	for _, want := range leaves(sans) {
		fresh, err := l.ensureLeaf(want, signers[want.authority], now)
		if err != nil {
			return issued, err
		}
		if fresh {
			issued = append(issued, want.name)
		}
	}
	for _, path := range []string{l.ServiceKey(), l.Key("client-kubelet"), l.Key("serving-kubelet")} {
		if err := ensureKey(path); err != nil {
			return issued, err
		}
	}
	return issued, l.ensureCurrentServiceKey()
}

// ensureCurrentServiceKey keeps the signing key beside the verification keys:
// an operator who rotates puts the new private key first in service.key and
// leaves the old ones behind it, and a signer takes only one.
func (l Layout) ensureCurrentServiceKey() error {
	all, err := os.ReadFile(l.ServiceKey())
	if err != nil {
		return err
	}
	if _, err := keyutil.ParsePrivateKeyPEM(all); err != nil {
		return fmt.Errorf("%s: %w", l.ServiceKey(), err)
	}
	return writeIfChanged(l.CurrentServiceKey(), firstBlock(all), 0o600)
}

// firstBlock is the PEM up to the end of its first private key.
func firstBlock(all []byte) []byte {
	end := []byte("PRIVATE KEY-----\n")
	// The words stand in the first and the last line of a block.
	first := bytes.Index(all, end)
	if first < 0 {
		return all
	}
	rest := all[first+len(end):]
	last := bytes.Index(rest, end)
	if last < 0 {
		return all
	}
	return all[:first+len(end)+last+len(end)]
}
