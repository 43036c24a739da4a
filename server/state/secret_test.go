// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

	"mandos/server/client"
)

// costly is a message that takes more iterations than one of ours, as those of gpg
// do: four times as many, and not 62 times, which would be slow.
func costly(t *testing.T, secret, key string) []byte {
	t.Helper()
	var message bytes.Buffer
	config := &packet.Config{DefaultCipher: packet.CipherAES256, S2KConfig: &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: 4 << 20}}
	w, err := openpgp.SymmetricallyEncrypt(&message, passphrase(client.NewSecret([]byte(key))), nil, config)
	if err == nil {
		_, err = w.Write([]byte(secret))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return message.Bytes()
}

// takenOver is a store that has just taken over clients of the Python server: as
// many as asked for with the configured secret, one with another, and one that the
// configuration lacks.
func takenOver(t *testing.T, dir string, same int) (s *Store, configured []client.Settings, want map[string]client.Secret) {
	t.Helper()
	records := make(map[string]*record)
	want = make(map[string]client.Secret)
	add := func(name, secret, key string) {
		records[name] = &record{Secret: costly(t, secret, key)}
		configured = append(configured, client.Settings{Name: name, Secret: client.NewSecret([]byte(key))})
		want[name] = client.NewSecret([]byte(secret))
	}
	for i := range same {
		add(fmt.Sprint("same", i), "configured", "configured")
	}
	add("other", "set at run time", "configured")
	records["absent"] = &record{Secret: costly(t, "set at run time", "configured")}
	want["absent"] = client.Secret{}

	s = newStore(dir, quiet)
	if err := s.create(records, s.publish); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, configured, want
}

func secretsOf(records map[string]client.Record) map[string]client.Secret {
	secrets := make(map[string]client.Secret)
	for name, r := range records {
		secrets[name] = r.Settings.Secret
	}
	return secrets
}

// stillEncrypted are how many of the records have secrets that nobody has decrypted.
func stillEncrypted(records []client.Record) (n int) {
	for _, r := range records {
		if !r.Settings.Secret.Found() {
			n++
		}
	}
	return n
}

// encryptedAs are how many records in the file have a costly message, and how many
// one of ours.
func encryptedAs(t *testing.T, s *Store, names ...string) (costly, ours int) {
	t.Helper()
	for _, name := range names {
		switch message := savedMessage(t, s, name); {
		case message == nil:
		case isCostly(message):
			costly++
		default:
			ours++
		}
	}
	return costly, ours
}

func TestAStartDecryptsNothing(t *testing.T) {
	s, configured, want := takenOver(t, t.TempDir(), 2)
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	if n := stillEncrypted(records); n != 3 {
		t.Errorf("%d of 3 secrets are still encrypted", n)
	}
	if err := s.Save(records); err != nil { // as the registry does at its start
		t.Fatal(err)
	}
	if n := stillEncrypted(records); n != 3 {
		t.Errorf("%d of 3 secrets are still encrypted after a save", n)
	}
	if costly, ours := encryptedAs(t, s, "same0", "same1", "other", "absent"); costly != 4 || ours != 0 {
		t.Errorf("the save left %d messages and made %d", costly, ours)
	}
	if got := secretsOf(recordsOf(t, reopen(t, s), configured...)); !maps.Equal(got, want) {
		t.Errorf("after a restart the secrets are %v, want %v", got, want)
	}
}

// TestTenThousandClientsAreTakenOverAtOnce: to decrypt all of their secrets takes
// twenty minutes of a processor, and a start must not.
func TestTenThousandClientsAreTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	const many = 10_000
	dir := t.TempDir()
	message := costly(t, "set at run time", "configured")
	content := pickled(t, fmt.Sprintf(`(lambda message, settings: (
		{"c%%d" %% i: dict(settings, name="c%%d" %% i, host="host%%d" %% i, approved=None, encrypted_secret=bytes(bytearray(message)),
			created=datetime(2026, 11, 23, 5, 0, 0, i), last_enabled=datetime(2026, 11, 23), expires=datetime(2026, 11, 24, 5, 0, 0, i),
			last_checked_ok=datetime(2026, 11, 23), last_checker_status=0, client_structure=["attribute%%d" %% k for k in range(30)]) for i in range(%[1]d)},
		{"c%%d" %% i: dict(settings, host="host%%d" %% i) for i in range(%[1]d)}))(
		bytes.fromhex("%[2]x"),
		dict(enabled=True, approved_by_default=True, key_id="0" * 64, fingerprint="", checker_command="fping -q -- %%%%(host)s", timeout=timedelta(0, 300),
			extended_timeout=timedelta(0, 900), interval=timedelta(0, 120), approval_delay=timedelta(0), approval_duration=timedelta(0, 1), last_checker_status=-2))`,
		many, message))
	if err := os.WriteFile(filepath.Join(dir, upstreamName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	configured := make([]client.Settings, many)
	for i := range configured {
		configured[i] = client.Settings{Name: fmt.Sprint("c", i), Secret: secret("configured")}
	}
	start := time.Now()
	s := open(t, dir)
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes took %v", len(content), time.Since(start))
	if len(records) != many || stillEncrypted(records) != many {
		t.Fatalf("%d of %d records have secrets that are still encrypted", stillEncrypted(records), len(records))
	}
	if r := records[many/2]; r.Settings.Host != "host"+r.Settings.Name[1:] || string(r.Settings.Secret.Bytes()) != "set at run time" {
		t.Errorf("one of them is %+v", r)
	}
}

func TestSecretsAreDecryptedOnceAndForAll(t *testing.T) {
	s, configured, want := takenOver(t, t.TempDir(), 3)
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DecryptAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := stillEncrypted(records); n != 0 {
		t.Errorf("%d secrets are still encrypted", n)
	}
	check := func(when string, s *Store) {
		t.Helper()
		if costly, ours := encryptedAs(t, s, "same0", "same1", "same2", "other"); costly != 0 || ours != 1 {
			t.Errorf("%s the file has %d messages that take long and %d others", when, costly, ours)
		}
		if costly, _ := encryptedAs(t, s, "absent"); costly != 1 {
			t.Errorf("%s the file lacks the secret of a client that the configuration lacks", when)
		}
	}
	check("at once", s)
	save(t, s, records...)
	check("after a save of what the registry has", s)
	for _, r := range records {
		if r.Settings.Name == "other" {
			r.Settings.Secret = secret("set later")
			save(t, s, r)
			want["other"] = secret("set later")
		}
	}
	message := savedMessage(t, s, "other")
	s = reopen(t, s)
	if got := secretsOf(recordsOf(t, s, configured...)); !maps.Equal(got, want) {
		t.Errorf("after a restart the secrets are %v, want %v", got, want)
	}
	if err := s.DecryptAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("after a restart", s)
	if !bytes.Equal(message, savedMessage(t, s, "other")) {
		t.Error("a secret in our own form was encrypted again")
	}
}

// TestDecryptingThatIsCutOffLosesNothing ends it after each number of secrets,
// and then has the power fail.
func TestDecryptingThatIsCutOffLosesNothing(t *testing.T) {
	for after := range 4 {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			dir := t.TempDir()
			s, configured, want := takenOver(t, dir, 2)
			records, err := s.Records(configured)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records[:after] {
				r.Settings.Secret.Settled()
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			encrypted := stillEncrypted(records)
			if err := s.DecryptAll(ctx); err != nil {
				t.Fatal(err)
			}
			if n := stillEncrypted(records); n != encrypted {
				t.Errorf("after it was told to end it decrypted %d of %d", encrypted-n, encrypted)
			}
			copied := t.TempDir()
			content, err := os.ReadFile(s.path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(copied, fileName), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := secretsOf(recordsOf(t, open(t, copied), configured...)); !maps.Equal(got, want) {
				t.Errorf("the secrets are %v, want %v", got, want)
			}
		})
	}
}

func TestWhatWasSavedMeanwhileStays(t *testing.T) {
	s, configured, _ := takenOver(t, t.TempDir(), 1)
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		switch r := &records[i]; r.Settings.Name {
		case "other":
			r.Settings.Secret = secret("set later")
		case "same0":
			r.Settings.Host = "elsewhere"
		}
	}
	late := s.sealed["other"].secret
	save(t, s, records...)
	if late.Found() {
		t.Error("to save another secret, the former one was decrypted")
	}
	if err := s.DecryptAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := recordsOf(t, reopen(t, s), configured...)
	if got["other"].Settings.Secret != secret("set later") || got["same0"].Settings.Host != "elsewhere" {
		t.Errorf("got %+v", got)
	}
}

func TestADroppedRecordDoesNotComeBackDecrypted(t *testing.T) {
	s, configured, _ := takenOver(t, t.TempDir(), 1)
	if _, err := s.Records(configured); err != nil {
		t.Fatal(err)
	}
	encrypted := s.encrypted()
	save(t, s, client.Record{Settings: client.Settings{Name: "same0"}, Dropped: true})
	if _, ok := s.sealed["same0"]; ok {
		t.Error("its secret is still in memory")
	}
	s.settle(t.Context(), encrypted)
	if err := s.sealAgain(encrypted); err != nil {
		t.Fatal(err)
	}
	if r, ok := recordsOf(t, reopen(t, s), configured...)["same0"]; ok {
		t.Errorf("it is there: %+v", r)
	}
}

// withoutRandomness has the system give no random bytes until the test, or the function
// that it returns, ends that. Without them nothing can be encrypted.
func withoutRandomness(t *testing.T) (end func()) {
	t.Helper()
	former := rand.Reader
	rand.Reader = iotest.ErrReader(errors.New("no randomness"))
	end = func() { rand.Reader = former }
	t.Cleanup(end)
	return end
}

func TestWhatCannotBeEncryptedStaysAsItWas(t *testing.T) {
	s := open(t, t.TempDir())
	a, b := full("a"), full("b")
	b.Settings.Secret = b.Configured.Secret
	save(t, s, a, b)
	changed := a
	changed.Settings.Secret = secret("set later")
	b.LastCheckerStatus = 7
	end := withoutRandomness(t)
	err := s.Save([]client.Record{changed, b})
	end()
	unsavable, ok := err.(client.UnsavableError)
	if !ok || len(unsavable) != 1 || unsavable["a"].Error() != "cannot encrypt its secret: no randomness" {
		t.Errorf("it is answered %v", err)
	}
	got := recordsOf(t, reopen(t, s), a.Configured, b.Configured)
	if want := map[string]client.Record{"a": a, "b": b}; !equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestWhatCannotBeEncryptedAgainStaysAsItWas(t *testing.T) {
	s, configured, want := takenOver(t, t.TempDir(), 1)
	if _, err := s.Records(configured); err != nil {
		t.Fatal(err)
	}
	end := withoutRandomness(t)
	err := s.DecryptAll(t.Context())
	end()
	if err == nil || err.Error() != "cannot save what was decrypted: client other: cannot encrypt its secret: no randomness" {
		t.Errorf("it is answered %v", err)
	}
	if got := secretsOf(recordsOf(t, reopen(t, s), configured...)); !maps.Equal(got, want) {
		t.Errorf("the secrets are %v, want %v", got, want)
	}
}

func TestWhatIsDecryptedIsSavedInTheFileThatIsRead(t *testing.T) {
	s, configured, _ := takenOver(t, t.TempDir(), 1)
	if _, err := s.Records(configured); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if err := s.DecryptAll(t.Context()); !errors.Is(err, errAnother) {
		t.Errorf("it is answered %v", err)
	}
}

// TestTheLogTellsOfDecrypting looks at what is logged, and at what must not be.
func TestTheLogTellsOfDecrypting(t *testing.T) {
	dir := t.TempDir()
	s, configured, _ := takenOver(t, dir, 1)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := s.DecryptAll(t.Context()); err != nil || log.Len() > 0 { // before Records there is nothing to do
		t.Errorf("error %v, and the log says %s", err, &log)
	}
	for i := range configured {
		if configured[i].Name == "other" {
			configured[i].Secret = secret("changed meanwhile")
		}
	}
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Settings.Name == "same0" {
			r.Settings.Secret.Settled() // by one who came before
		}
	}
	if err := s.DecryptAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`level=INFO msg="Decrypting the saved secrets in the background" clients=1`,
		`level=DEBUG msg="Failed to decrypt the saved secret; the configured one is in force" client=other error=`,
		`level=INFO msg="All saved secrets are decrypted" clients=1 took=`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &log)
		}
	}
	for _, bad := range []string{"set at run time", "changed meanwhile", `"configured"`} {
		if strings.Contains(log.String(), bad) {
			t.Errorf("the log has %s:\n%s", bad, &log)
		}
	}

	log.Reset()
	cutOff, configured, _ := takenOver(t, t.TempDir(), 1)
	cutOff.log = s.log
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cutOff.Records(configured); err != nil {
		t.Fatal(err)
	}
	if err := cutOff.DecryptAll(ctx); err != nil || !strings.Contains(log.String(), "Decrypting the saved") || strings.Contains(log.String(), "All saved") {
		t.Errorf("cut off: error %v, and the log says\n%s", err, &log)
	}
}

func TestDecryptingForAClosedState(t *testing.T) {
	s, configured, _ := takenOver(t, t.TempDir(), 1)
	records, err := s.Records(configured)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.DecryptAll(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("it ended with %v", err)
	}
	if n := stillEncrypted(records); n != 0 {
		t.Errorf("%d secrets are still encrypted", n)
	}
}

func TestThePassphraseIsThatOfThePythonServer(t *testing.T) {
	hexadecimal := strings.Repeat("k", 1021)
	for name, test := range map[string]struct{ key, want string }{
		"a short secret":                   {"a\x00\xff", "mandos6100ff"},
		"the longest in hexadecimal":       {hexadecimal, "mandos" + strings.Repeat("6b", 1021)},
		"one byte more":                    {hexadecimal + "k", "mandos" + hexadecimal + "k"},
		"bytes that a line cannot hold":    {hexadecimal + "\\\n\x00\xff\r", "mandos" + hexadecimal + "\\\\" + `\n\x00` + "\xff\r"},
		"what looks as if it were escaped": {hexadecimal + `\n`, "mandos" + hexadecimal + `\\n`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(passphrase(secret(test.key))); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}
