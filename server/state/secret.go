// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

	"mandos/server/client"
)

// maxSecret bounds a decrypted secret, in bytes.
const maxSecret = 64 << 20

// encryption is what every OpenPGP implementation can read (RFC 9580, sections
// 5.3, 5.13.1 and 3.7.1.3). The passphrase is made of a secret that is itself
// hard to guess; the iterations, a millisecond's worth, are for one that is not.
// Each use takes its own, since go-crypto writes to it.
func encryption() *packet.Config {
	return &packet.Config{
		DefaultCipher: packet.CipherAES256,
		S2KConfig:     &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: 1 << 20},
	}
}

// sealedSecret is a secret in the form in which it is in the file.
type sealedSecret struct {
	secret, key client.Secret
	message     []byte
}

// seal encrypts the secret in force under the configured one, or is nil if they
// are the same. What did not change is not encrypted again.
func (s *Store) seal(name string, secret, key client.Secret) ([]byte, error) {
	if secret == key {
		delete(s.sealed, name)
		return nil, nil
	}
	if former, ok := s.sealed[name]; ok && former.secret == secret && former.key == key {
		return former.message, nil
	}
	message, err := encrypt(secret, key)
	if err != nil {
		return nil, fmt.Errorf("cannot encrypt its secret: %w", err)
	}
	s.sealed[name] = sealedSecret{secret, key, message}
	return message, nil
}

// unseal makes the records that the registry continues from. Secrets are
// decrypted by all processors, as each takes some milliseconds.
func (s *Store) unseal(saved map[string]*record, configured []client.Settings) []client.Record {
	keys := make(map[string]client.Secret, len(configured))
	for i := range configured {
		keys[configured[i].Name] = configured[i].Secret
	}
	records := make([]client.Record, 0, len(saved))
	var decrypting sync.WaitGroup
	processors := make(chan struct{}, runtime.GOMAXPROCS(0))
	unsealed := make(map[int]*sealedSecret)
	for name, r := range saved {
		key, isConfigured := keys[name]
		if r.Secret != nil && isConfigured {
			sealed := &sealedSecret{key: key, message: r.Secret}
			unsealed[len(records)] = sealed
			processors <- struct{}{}
			decrypting.Go(func() {
				defer func() { <-processors }()
				var err error
				if sealed.secret, err = decrypt(sealed.message, key); err != nil {
					s.log.Debug("Failed to decrypt the saved secret; the configured one is in force", "client", name, "error", err)
					sealed.secret = key
				}
			})
		}
		records = append(records, client.Record{
			Settings:   r.Settings.of(name, key),
			Configured: r.Configured.of(name, key),
			State:      client.State(r.State),
			Removed:    r.Removed,
		})
	}
	decrypting.Wait()
	for i, sealed := range unsealed {
		records[i].Settings.Secret = sealed.secret
		s.sealed[records[i].Settings.Name] = *sealed
	}
	return records
}

// maxHexPassphrase is the length beyond which a passphrase holds the secret's
// bytes themselves, as gpg takes no longer line of hexadecimal.
const maxHexPassphrase = 2048

// passphrase makes the configured secret into the passphrase that the Python
// server makes of it.
func passphrase(key client.Secret) []byte {
	if p := "mandos" + hex.EncodeToString(key.Bytes()); len(p) <= maxHexPassphrase {
		return []byte(p)
	}
	return []byte("mandos" + strings.NewReplacer("\\", `\\`, "\n", `\n`, "\x00", `\x00`).Replace(string(key.Bytes())))
}

func encrypt(secret, key client.Secret) ([]byte, error) {
	var message bytes.Buffer
	w, err := openpgp.SymmetricallyEncrypt(&message, passphrase(key), &openpgp.FileHints{IsBinary: true}, encryption())
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(secret.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return message.Bytes(), nil
}

// decrypt fails if the message is not the one that was encrypted under key.
func decrypt(message []byte, key client.Secret) (client.Secret, error) {
	if !isExpected(message) {
		return client.Secret{}, errors.New("it is not encrypted with a passphrase in the usual way")
	}
	asked := false
	decrypted, err := openpgp.ReadMessage(bytes.NewReader(message), nil, func([]openpgp.Key, bool) ([]byte, error) {
		if asked {
			return nil, errors.New("it was encrypted under another configured secret")
		}
		asked = true
		return passphrase(key), nil
	}, nil)
	if err != nil {
		return client.Secret{}, err
	}
	secret, err := io.ReadAll(io.LimitReader(decrypted.UnverifiedBody, maxSecret+1))
	if err != nil {
		return client.Secret{}, err
	}
	if len(secret) > maxSecret {
		return client.Secret{}, fmt.Errorf("it is larger than %d MiB", maxSecret>>20)
	}
	return client.NewSecret(secret), nil
}

// isExpected tells whether a message begins with a passphrase packet as this
// package and gpg write it (RFC 9580, section 5.3.1): version 4, iterated and
// salted. Others could ask for any amount of memory.
func isExpected(message []byte) bool {
	const version, iteratedAndSalted = 4, 3
	return len(message) > 5 && (message[0] == 0x8c || message[0] == 0xc3) && message[1] < 192 &&
		message[2] == version && message[4] == iteratedAndSalted
}
