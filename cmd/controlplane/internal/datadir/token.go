package datadir

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// tokenPrefix begins a token that carries the hash of the cluster's authority,
// so that who joins with it can verify whom it joins.
const tokenPrefix = "K10"

// Passphrase is the secret part of a token, in the short or the full form.
func Passphrase(token string) string {
	if rest, full := strings.CutPrefix(token, tokenPrefix); full {
		if _, credentials, ok := strings.Cut(rest, "::"); ok {
			_, secret, _ := strings.Cut(credentials, ":")
			return secret
		}
	}
	return token
}

// Passphrase returns the secret part of the token: the given one, else the one
// of an earlier start, else a new one. A given token that differs from the
// earlier one is an error, since whatever was encrypted with it is lost.
func (l Layout) Passphrase(given string) (string, error) {
	raw, err := os.ReadFile(l.Token())
	switch {
	case err == nil:
		earlier := Passphrase(strings.TrimSpace(string(raw)))
		if given != "" && Passphrase(given) != earlier {
			return "", fmt.Errorf("--token differs from the one in %s: pass the same token as on the first start", l.Token())
		}
		return earlier, nil
	case !os.IsNotExist(err):
		return "", fmt.Errorf("token: %w", err)
	case given != "":
		return Passphrase(given), nil
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return hex.EncodeToString(secret), nil
}

// WriteTokens writes the token files in the full form.
func (l Layout) WriteTokens(passphrase string) error {
	ca, err := l.CA(ServerCA)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(ca)
	full := fmt.Sprintf("%s%x::server:%s\n", tokenPrefix, hash, passphrase)
	if err := writeIfChanged(l.Token(), []byte(full), 0o600); err != nil {
		return err
	}
	return writeIfChanged(l.NodeToken(), []byte(full), 0o600)
}
