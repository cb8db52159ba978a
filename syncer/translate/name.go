// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// maxName is the length of a DNS label, the strictest limit of any kind of object.
	maxName = 63
	// hashLength is in digits of five bits: 60 bits make an accidental collision
	// among a billion objects improbable, and the marker and UID catch a contrived one.
	hashLength = 12
	// minReadable is how much of a long namespace stays readable beside a long name.
	minReadable = 15
)

var digits = base32.HexEncoding.WithPadding(base32.NoPadding)

// HostName returns the name on the host of the object of this namespace and
// name inside. An object of cluster scope has an empty namespace.
func (t *Translator) HostName(namespace, name string) string {
	return t.hostName("", namespace, name)
}

// DerivedName returns the name of a host object that is made for a virtual
// object but is not its twin, such as the Secret with a pod's tokens. Another
// purpose gives another name.
func (t *Translator) DerivedName(purpose, namespace, name string) string {
	return t.hostName(purpose, namespace, name)
}

func (t *Translator) hostName(purpose, namespace, name string) string {
	sum := digest(t.cluster.ID, purpose, namespace, name)
	room := maxName - 1 - hashLength
	if purpose != "" {
		room -= len(purpose) + 1
		sum = purpose + "-" + sum
	}
	if namespace == "" {
		return shorten(name, room) + "-" + sum
	}
	forNamespace := max(room-1-len(name), minReadable)
	readableNamespace := shorten(namespace, forNamespace)
	return shorten(name, room-1-len(readableNamespace)) + "-" + readableNamespace + "-" + sum
}

// digest hashes the parts. A byte divides them that no name of an
// object, namespace or cluster can hold.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(digits.EncodeToString(sum[:]))[:hashLength]
}

// shorten makes s part of a DNS label of at most n characters: other characters
// become dashes, and no dash is left at the end.
func shorten(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, s)
	if len(s) > n {
		s = s[:n]
	}
	s = strings.Trim(s, "-")
	if s == "" {
		return "x"
	}
	return s
}

// Readable puts the names that a tenant knows into what the host says: those of
// objects of one namespace inside, in place of their names on the host.
func (t *Translator) Readable(namespace string, names ...string) *strings.Replacer {
	hostNamespace := t.cluster.HostNamespace
	var pairs []string
	for _, name := range names {
		if name == "" {
			continue
		}
		host := t.HostName(namespace, name)
		pairs = append(pairs,
			hostNamespace+"/"+host, namespace+"/"+name,
			host+"_"+hostNamespace, name+"_"+namespace,
			host, name)
	}
	return strings.NewReplacer(pairs...)
}
