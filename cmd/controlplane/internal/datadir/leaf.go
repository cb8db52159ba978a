package datadir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"k8s.io/client-go/util/cert"
)

const (
	leafLife = 365 * 24 * time.Hour
	// renewBefore is how much life a certificate must have left.
	renewBefore = 90 * 24 * time.Hour
)

// leaf describes one certificate that the server needs.
type leaf struct {
	name, authority string
	commonName      string
	organizations   []string
	// sans makes it a serving certificate for these names and addresses.
	sans []string
}

// leaves lists the certificates of a server; sans are the serving
// certificate's names and addresses.
func leaves(sans []string) []leaf {
	return []leaf{
		{name: ServingAPIServer, authority: ServerCA, commonName: "kube-apiserver", sans: append([]string{}, sans...)},
		{name: ServingKine, authority: ServerCA, commonName: "kine", sans: []string{"localhost", "127.0.0.1", "::1", "kine.sock"}},
		{name: ClientAdmin, authority: ClientCA, commonName: "system:admin", organizations: []string{"system:masters"}},
		{name: ClientSupervisor, authority: ClientCA, commonName: "system:k3s-supervisor", organizations: []string{"system:masters"}},
		// Whoever may have the API server call an address of their choice as a kubelet
		// may have it call itself: there, this is nobody.
		{name: ClientAPIServer, authority: KubeletCA, commonName: "kube-apiserver-kubelet-client"},
		{name: ClientController, authority: ClientCA, commonName: "system:kube-controller-manager"},
		{name: ClientScheduler, authority: ClientCA, commonName: "system:kube-scheduler"},
		{name: "client-kube-proxy", authority: ClientCA, commonName: "system:kube-proxy"},
		{name: "client-k3s-controller", authority: ClientCA, commonName: "system:k3s-controller"},
		{name: ClientAuthProxy, authority: RequestHeaderCA, commonName: "system:auth-proxy"},
	}
}

// Names of certificates that other packages point components at.
const (
	ServingAPIServer = "serving-kube-apiserver"
	ServingKine      = "serving-kine"
	ClientAdmin      = "client-admin"
	ClientSupervisor = "client-supervisor"
	ClientAPIServer  = "client-kube-apiserver"
	ClientController = "client-controller"
	ClientScheduler  = "client-scheduler"
	ClientAuthProxy  = "client-auth-proxy"
)

// ensureLeaf keeps the certificate when it is still right, and issues it again
// otherwise; it tells which it did.
func (l Layout) ensureLeaf(want leaf, ca *authority, now time.Time) (issued bool, err error) {
	hasKey, err := exists(l.Key(want.name))
	if err != nil {
		return false, err
	}
	if !hasKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return false, fmt.Errorf("key %s: %w", want.name, err)
		}
		if err := writeKey(l.Key(want.name), key); err != nil {
			return false, err
		}
	}
	key, err := readKey(l.Key(want.name))
	if err != nil {
		return false, err
	}
	if current, err := cert.CertsFromFile(l.Cert(want.name)); err == nil &&
		publicKeysEqual(current[0].PublicKey, key.Public()) && want.satisfiedBy(current[0], ca, now) {
		return false, nil
	}

	serial, err := serialNumber()
	if err != nil {
		return false, err
	}
	template := want.template(now, ca)
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return false, fmt.Errorf("certificate %s: %w", want.name, err)
	}
	return true, WriteFile(l.Cert(want.name), append(encodeCert(der), ca.chain...), 0o644)
}

func (want leaf) template(now time.Time, ca *authority) *x509.Certificate {
	notAfter := now.Add(leafLife)
	if ca.cert.NotAfter.Before(notAfter) {
		notAfter = ca.cert.NotAfter
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: want.commonName, Organization: want.organizations},
		// Clocks of two machines differ; a minute hides it.
		NotBefore:             now.Add(-time.Minute).UTC(),
		NotAfter:              notAfter.UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if want.sans != nil {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.DNSNames, t.IPAddresses = splitSANs(want.sans)
	}
	return t
}

// satisfiedBy tells whether have is signed by ca, says what want says, and
// lives long enough. When the authority itself ends within the margin there is
// nothing to gain from issuing again.
func (want leaf) satisfiedBy(have *x509.Certificate, ca *authority, now time.Time) bool {
	target := want.template(now, ca)
	margin := now.Add(renewBefore)
	if have.NotAfter.Before(margin) && have.NotAfter.Before(target.NotAfter.Truncate(time.Second)) {
		return false
	}
	if have.CheckSignatureFrom(ca.cert) != nil || now.Before(have.NotBefore) {
		return false
	}
	names, addresses := sortedSANs(have.DNSNames, have.IPAddresses)
	wantNames, wantAddresses := sortedSANs(target.DNSNames, target.IPAddresses)
	return have.Subject.CommonName == want.commonName &&
		slices.Equal(have.Subject.Organization, want.organizations) &&
		slices.Equal(names, wantNames) && slices.Equal(addresses, wantAddresses)
}

// splitSANs parts names from addresses and drops repetitions.
func splitSANs(sans []string) (names []string, addresses []net.IP) {
	seen := map[string]bool{}
	for _, san := range sans {
		if san == "" || seen[san] {
			continue
		}
		seen[san] = true
		if ip := net.ParseIP(san); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, san)
		}
	}
	return names, addresses
}

func sortedSANs(names []string, addresses []net.IP) (sortedNames, sortedAddresses []string) {
	sortedNames = slices.Clone(names)
	slices.Sort(sortedNames)
	for _, ip := range addresses {
		sortedAddresses = append(sortedAddresses, ip.String())
	}
	slices.Sort(sortedAddresses)
	return sortedNames, sortedAddresses
}

// ensureKey makes a key that stands alone, without a certificate of ours.
func ensureKey(path string) error {
	has, err := exists(path)
	if err != nil || has {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(path, key)
}

// readPair loads a certificate and its key as PEM.
func (l Layout) readPair(name string) (certPEM, keyPEM []byte, err error) {
	if certPEM, err = os.ReadFile(l.Cert(name)); err != nil {
		return nil, nil, err
	}
	keyPEM, err = os.ReadFile(l.Key(name))
	return certPEM, keyPEM, err
}
