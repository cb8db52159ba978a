// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	kmsapi "k8s.io/kms/apis/v2"
	"k8s.io/kms/pkg/service"

	"garret.dev/garret/test/framework"
)

// keyTimeout bounds calls of the key service, as its provider's configuration says.
const keyTimeout = 3 * time.Second

// keyService is a key management service with a plugin of Kubernetes' protocol
// v2 before it: keys that never leave it, known by their ids.
type keyService struct {
	socket string
	plugin *service.GRPCService

	mu        sync.Mutex
	keys      map[string]cipher.AEAD
	current   string
	decrypted map[string]int
}

// startKeyService runs one with a key of this id until the test ends.
func startKeyService(t *testing.T, dir, id string) *keyService {
	t.Helper()
	k := &keyService{socket: filepath.Join(dir, "kms.sock"), keys: map[string]cipher.AEAD{}, decrypted: map[string]int{}}
	k.rotate(t, id)
	k.start(t)
	t.Cleanup(k.stop)
	return k
}

// provider is what an EncryptionConfiguration says about it.
func (k *keyService) provider() string {
	return fmt.Sprintf("kms: {apiVersion: v2, name: local, endpoint: \"unix://%s\", timeout: %s}", k.socket, keyTimeout)
}

// rotate makes a new key, with which the service encrypts from now on.
func (k *keyService) rotate(t *testing.T, id string) {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	block, err := aes.NewCipher(secret)
	must(t, err)
	sealer, err := cipher.NewGCM(block)
	must(t, err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[id], k.current = sealer, id
}

// destroy has a key be gone for ever.
func (k *keyService) destroy(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, id)
}

// start listens on the socket, and returns when the plugin answers there.
func (k *keyService) start(t *testing.T) {
	t.Helper()
	k.plugin = service.NewGRPCService(k.socket, keyTimeout, k)
	ended := make(chan error, 1)
	go func() { ended <- k.plugin.ListenAndServe() }()
	connection, err := grpc.NewClient("unix://"+k.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer connection.Close()
	framework.Eventually(t, "the plugin answers", func(ctx context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("the plugin has ended: %w", err)
		default:
		}
		_, err := kmsapi.NewKeyManagementServiceClient(connection).Status(ctx, &kmsapi.StatusRequest{})
		return err == nil, nil
	})
}

// stop has the plugin be gone, and its socket with it.
func (k *keyService) stop() { k.plugin.Close() }

// uses is how often a key was asked for to decrypt with.
func (k *keyService) uses(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.decrypted[id]
}

// Status implements service.Service, as the others below do.
func (k *keyService) Status(context.Context) (*service.StatusResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: k.current}, nil
}

func (k *keyService) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sealer := k.keys[k.current]
	nonce := make([]byte, sealer.NonceSize())
	_, _ = rand.Read(nonce)
	return &service.EncryptResponse{Ciphertext: sealer.Seal(nonce, nonce, data, []byte(k.current)), KeyID: k.current}, nil
}

func (k *keyService) Decrypt(_ context.Context, _ string, request *service.DecryptRequest) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sealer := k.keys[request.KeyID]
	if sealer == nil || len(request.Ciphertext) < sealer.NonceSize() {
		return nil, fmt.Errorf("no key %q", request.KeyID)
	}
	k.decrypted[request.KeyID]++
	nonce, sealed := request.Ciphertext[:sealer.NonceSize()], request.Ciphertext[sealer.NonceSize():]
	return sealer.Open(nil, nonce, sealed, []byte(request.KeyID))
}
