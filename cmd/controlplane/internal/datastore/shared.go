package datastore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	// sharedPrefix is outside /registry: no API object can be stored there.
	sharedPrefix = "/bootstrap/"
	// iterations make guessing a weak token slow; a start pays for them once.
	iterations    = 200_000
	sharedTimeout = 30 * time.Second
)

// ErrOtherToken tells that the datastore's cluster was made with another token.
var ErrOtherToken = errors.New("the datastore holds a cluster that was made with another token: pass that cluster's --token")

// Client connects to the datastore.
func (d *Datastore) Client() (*clientv3.Client, error) {
	config := clientv3.Config{Endpoints: d.Endpoints, DialTimeout: sharedTimeout, Logger: zap.NewNop()}
	if d.CAFile != "" || d.CertFile != "" {
		info := transport.TLSInfo{CertFile: d.CertFile, KeyFile: d.KeyFile, TrustedCAFile: d.CAFile}
		tlsConfig, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("datastore: %w", err)
		}
		config.TLS = tlsConfig
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("datastore: %w", err)
	}
	return client, nil
}

// Shared keeps a cluster's identity in the datastore that its servers share,
// encrypted with a passphrase that only they know.
type Shared struct {
	client     *clientv3.Client
	passphrase string
}

// NewShared returns the identity's place for a passphrase.
func NewShared(client *clientv3.Client, passphrase string) *Shared {
	return &Shared{client: client, passphrase: passphrase}
}

// key is derived from the passphrase, so that a wrong one finds nothing
// instead of something that cannot be read.
func (s *Shared) key() string {
	hash := sha256.Sum256([]byte("garret bootstrap key\n" + s.passphrase))
	return sharedPrefix + hex.EncodeToString(hash[:8])
}

// Load returns the cluster's identity, nil when the datastore is new, and
// ErrOtherToken when it holds one that this passphrase does not open.
func (s *Shared) Load(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	response, err := s.client.Get(ctx, s.key())
	if err != nil {
		return nil, fmt.Errorf("datastore: read cluster identity: %w", err)
	}
	if len(response.Kvs) == 1 {
		return s.open(response.Kvs[0].Value)
	}
	others, err := s.client.Get(ctx, sharedPrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("datastore: read cluster identity: %w", err)
	}
	if len(others.Kvs) > 0 {
		return nil, ErrOtherToken
	}
	return nil, nil
}

// Store puts the identity there unless another server was earlier, and returns
// whichever is there then.
func (s *Shared) Store(ctx context.Context, files map[string][]byte) (map[string][]byte, error) {
	sealed, err := s.seal(files)
	if err != nil {
		return nil, err
	}
	storeCtx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	key := s.key()
	response, err := s.client.Txn(storeCtx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(sealed))).
		Commit()
	if err != nil {
		return nil, fmt.Errorf("datastore: store cluster identity: %w", err)
	}
	if response.Succeeded {
		return files, nil
	}
	return s.Load(ctx)
}

// envelope is what is stored.
type envelope struct {
	Salt  []byte `json:"salt"`
	Nonce []byte `json:"nonce"`
	Data  []byte `json:"data"`
}

func (s *Shared) cipher(salt []byte) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, s.passphrase, salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *Shared) seal(files map[string][]byte) ([]byte, error) {
	plain, err := json.Marshal(files)
	if err != nil {
		return nil, err
	}
	e := envelope{Salt: make([]byte, 16), Nonce: make([]byte, 12)}
	if _, err := rand.Read(e.Salt); err != nil {
		return nil, err
	}
	if _, err := rand.Read(e.Nonce); err != nil {
		return nil, err
	}
	aead, err := s.cipher(e.Salt)
	if err != nil {
		return nil, err
	}
	e.Data = aead.Seal(nil, e.Nonce, plain, nil)
	return json.Marshal(e)
}

func (s *Shared) open(sealed []byte) (map[string][]byte, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return nil, fmt.Errorf("datastore: cluster identity: %w", err)
	}
	aead, err := s.cipher(e.Salt)
	if err != nil {
		return nil, err
	}
	if len(e.Nonce) != aead.NonceSize() {
		return nil, errors.New("datastore: cluster identity: damaged")
	}
	plain, err := aead.Open(nil, e.Nonce, e.Data, nil)
	if err != nil {
		return nil, fmt.Errorf("datastore: cluster identity: %w", ErrOtherToken)
	}
	files := map[string][]byte{}
	return files, json.Unmarshal(plain, &files)
}
