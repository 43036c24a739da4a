// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

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

// sealedSecret is a secret in the form in which it is in the file. It has neither
// secret nor key where the configuration lacks the client.
type sealedSecret struct {
	secret, key client.Secret
	message     []byte
}

// isOf reports whether the message has that secret under that key, as far as that
// can be told without decrypting anything.
func (s *sealedSecret) isOf(secret, key client.Secret) bool {
	return s.key == key && (s.secret == secret || s.secret.Found() && secret.Found() && s.secret.Settled() == secret.Settled())
}

// seal encrypts the secret in force under the configured one, or is nil if they
// are the same. What did not change is not encrypted again, and what has not been
// decrypted yet stays as it is.
func (s *Store) seal(name string, secret, key client.Secret) ([]byte, error) {
	former, ok := s.sealed[name]
	unchanged := ok && former.isOf(secret, key)
	switch {
	case unchanged && (!secret.Found() || secret == client.Secret{}):
		return former.message, nil
	case secret.Settled() == key:
		delete(s.sealed, name)
		return nil, nil
	case unchanged && !isCostly(former.message):
		return former.message, nil
	}
	message, err := encrypt(secret, key)
	if err != nil {
		return nil, fmt.Errorf("cannot encrypt its secret: %w", err)
	}
	s.sealed[name] = sealedSecret{secret, key, message}
	return message, nil
}

// unseal makes the records that the registry continues from. Secrets that were
// set at run time are decrypted when somebody needs them.
func (s *Store) unseal(saved map[string]*record, configured []client.Settings) []client.Record {
	settings := make(map[string]*client.Settings, len(configured))
	for i := range configured {
		settings[configured[i].Name] = &configured[i]
	}
	records := make([]client.Record, 0, len(saved))
	for name, r := range saved {
		now, isConfigured := settings[name]
		var key client.Secret
		if isConfigured {
			key = now.Secret
		}
		record := r.of(name, key)
		if r.Secret != nil && isConfigured {
			record.Settings.Secret = client.LateSecret(func() client.Secret { return s.decrypt(name, r.Secret, key) })
		}
		if r.Secret != nil {
			s.sealed[name] = sealedSecret{record.Settings.Secret, key, r.Secret}
		}
		records = append(records, record)
	}
	for i := range records {
		s.mend(&records[i], settings[records[i].Settings.Name])
	}
	return records
}

// decrypt is the secret in the message, or the key if that cannot be decrypted.
func (s *Store) decrypt(name string, message []byte, key client.Secret) client.Secret {
	secret, err := decrypt(message, key)
	if err != nil {
		s.log.Debug("Failed to decrypt the saved secret; the configured one is in force", "client", name, "error", err)
		return key
	}
	return secret
}

// DecryptAll decrypts the secrets that [Store.Records] has left encrypted, so that
// nobody has to wait for one, until all are done or ctx ends. The Python server
// saves that of every client, in a form that takes a tenth of a second and more
// to decrypt; what is not needed of it, or better kept in our own form, is
// replaced in the file.
func (s *Store) DecryptAll(ctx context.Context) error {
	encrypted := s.encrypted()
	if len(encrypted) == 0 {
		return nil
	}
	s.log.Info("Decrypting the saved secrets in the background", "clients", len(encrypted))
	start := time.Now()
	for names := range slices.Chunk(encrypted, saveTogether) {
		s.settle(ctx, names)
		if err := s.sealAgain(names); err != nil {
			return fmt.Errorf("cannot save what was decrypted: %w", err)
		}
		if ctx.Err() != nil {
			return nil // what is left is as it was
		}
	}
	s.log.Info("All saved secrets are decrypted", "clients", len(encrypted), "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// saveTogether is how many decrypted secrets are saved together.
const saveTogether = 64

// encrypted are the clients whose secrets are still to be decrypted.
func (s *Store) encrypted() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, sealed := range s.sealed {
		if !sealed.secret.Found() {
			names = append(names, name)
		}
	}
	return names
}

// settle decrypts the secrets of these clients with half of the processors, as
// the other half is for those who come.
func (s *Store) settle(ctx context.Context, names []string) {
	var decrypting sync.WaitGroup
	defer decrypting.Wait()
	processors := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	for _, name := range names {
		processors <- struct{}{}
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		secret := s.sealed[name].secret
		s.mu.Unlock()
		decrypting.Go(func() {
			defer func() { <-processors }()
			secret.Settled()
		})
	}
}

// sealAgain puts the secrets of these clients that are decrypted by now into the
// form in which a later [Store.Save] would write them.
func (s *Store) sealAgain(names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := s.reopen(); err != nil {
		return err
	}
	changes := make(map[string][]byte)
	if err := s.db.View(func(tx *bolt.Tx) error {
		for _, name := range names {
			if err := s.sealSaved(tx, name, changes); err != nil {
				return fmt.Errorf("client %s: %w", name, err)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(changes) == 0 {
		return nil
	}
	return s.write(func(tx *bolt.Tx) error { return replace(tx, changes) })
}

// sealSaved adds a client's record to the changes, if its secret takes another form.
func (s *Store) sealSaved(tx *bolt.Tx, name string, changes map[string][]byte) error {
	former, ok := s.sealed[name]
	value := tx.Bucket(clientsBucket).Get([]byte(name))
	if !ok || len(value) < sumSize {
		return nil
	}
	r, err := decode(value[sumSize:])
	if err != nil || !bytes.Equal(r.Secret, former.message) {
		return err
	}
	if r.Secret, err = s.seal(name, former.secret, former.key); err != nil || bytes.Equal(r.Secret, former.message) {
		return err
	}
	changes[name], err = json.Marshal(r)
	return err
}

// mend replaces what a former version has saved although it cannot be in force,
// such as a text too long for the bus, by what is configured.
func (s *Store) mend(r *client.Record, configured *client.Settings) {
	if configured == nil {
		configured = &r.Configured
	}
	for _, fault := range r.Settings.Mend(configured) {
		s.log.Warn("A saved setting cannot be in force; the configured one is", "client", r.Settings.Name, "setting", fault.Setting.Key, "error", fault.Err)
	}
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
	secret, err := io.ReadAll(io.LimitReader(decrypted.UnverifiedBody, client.MaxSecret+1))
	if err != nil {
		return client.Secret{}, err
	}
	if len(secret) > client.MaxSecret {
		return client.Secret{}, fmt.Errorf("it is larger than %d MiB", client.MaxSecret>>20)
	}
	return client.NewSecret(secret), nil
}

// isCostly reports whether a message, as [isExpected] has it, takes more iterations
// than this package asks for: the octet after the salt has their number (RFC 9580,
// section 3.7.1.3), and a greater one means more.
func isCostly(message []byte) bool {
	const at, ours = 14, 0xa0 // 1 << 20
	return len(message) > at && message[at] > ours
}

// isExpected reports whether a message begins with a passphrase packet as this
// package and gpg write it (RFC 9580, section 5.3.1): version 4, iterated and
// salted. Others could ask for any amount of memory.
func isExpected(message []byte) bool {
	const version, iteratedAndSalted = 4, 3
	return len(message) > 5 && (message[0] == 0x8c || message[0] == 0xc3) && message[1] < 192 &&
		message[2] == version && message[4] == iteratedAndSalted
}
