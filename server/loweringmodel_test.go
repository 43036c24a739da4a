// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"mandos/server/client"
	"mandos/server/config"
)

// TestNothingButAPersonRaisesWhomSomethingHasLowered has clients disabled, removed and
// expired, and their configuration lost, cut off, renamed, changed and put back, over
// reloads, restarts and crashes. Whoever was lowered, by name or by key, and was not
// raised by a person since, must get nothing.
func TestNothingButAPersonRaisesWhomSomethingHasLowered(t *testing.T) {
	handedOut, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(genLoweringStep, 2, 40).Draw(rt, "steps") // outside of the bubble, whose clock rapid must not see
		failed := ""
		synctest.Test(t, func(t *testing.T) {
			w := &lowerer{t: t, dir: t.TempDir(), records: make(map[string]client.Record), said: make(map[string]client.Word), before: make(map[string]client.Settings)}
			failed = w.play(steps)
			handedOut += w.handedOut
			refused += w.refused
		})
		if failed != "" {
			rt.Fatal(failed)
		}
	})
	if handedOut == 0 || refused == 0 {
		t.Errorf("%d secrets were handed out and %d refused: the test sees nothing", handedOut, refused)
	}
}

type loweringStep struct {
	what  string
	name  string
	wait  time.Duration
	file  string   // what becomes of clients.conf
	lines []string // of [DEFAULT], and of each section; a section without any is missing
	keys  []int
	cut   float64
}

var loweredNames = []string{"h1", "h2", "h3"}

var genLoweringStep = rapid.Custom(func(t *rapid.T) loweringStep {
	s := loweringStep{
		what: rapid.SampledFrom([]string{"reload", "reload", "reload", "restart", "crash", "disable", "enable", "remove", "fail", "succeed", "forget"}).Draw(t, "what"),
		name: rapid.SampledFrom(loweredNames).Draw(t, "name"),
		wait: rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour}).Draw(t, "wait"),
		file: rapid.SampledFrom([]string{"whole", "whole", "whole", "whole", "cut", "empty", "missing", "dangling"}).Draw(t, "file"),
		keys: rapid.Permutation([]int{0, 1, 2}).Draw(t, "keys"),
		cut:  rapid.Float64Range(0, 1).Draw(t, "cut"),
	}
	line := rapid.SampledFrom([]string{"", "", "", "enabled = yes\n", "enabled = no\n"})
	s.lines = append(s.lines, line.Draw(t, "default")+rapid.SampledFrom([]string{"", "timeout = PT10M\n"}).Draw(t, "timeout"))
	for range loweredNames {
		there := rapid.SampledFrom([]string{"there", "there", "gone"}).Draw(t, "there")
		s.lines = append(s.lines, there+"\n"+line.Draw(t, "line"))
	}
	return s
})

func loweredKey(i int) string { return strings.Repeat(string(rune('A'+i)), 64) }

// text is clients.conf.
func (s *loweringStep) text() string {
	text := "[DEFAULT]\nchecker = :\n" + s.lines[0]
	for i, name := range loweredNames {
		if lines, there := strings.CutPrefix(s.lines[i+1], "there\n"); there {
			text += fmt.Sprintf("[%s]\nkey_id = %s\nsecret = c2VjcmV0\n%s", name, loweredKey(s.keys[i]), lines)
		}
	}
	if s.file == "cut" {
		return text[:int(s.cut*float64(len(text)))]
	}
	return text
}

// fact is something that lowers a client, as a simple mind sees it.
type fact struct {
	what, name, key string
}

// lowerer is a registry with its configuration in files.
type lowerer struct {
	*client.Registry
	t       *testing.T
	dir     string
	present []client.Settings

	mu      sync.Mutex // of what events and saving change
	records map[string]client.Record
	failing bool
	facts   []fact

	said               map[string]client.Word // by the own section of each name, when it last said anything
	before             map[string]client.Settings
	handedOut, refused int
}

func (w *lowerer) Save(records []client.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, record := range records {
		if record.Dropped {
			delete(w.records, record.Name)
			continue
		}
		w.records[record.Name] = record
	}
	return nil
}

func (w *lowerer) SaveServer(client.ServerRecord) error { return nil }

func (w *lowerer) Check(context.Context, string, string) (client.CheckResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing {
		return client.CheckResult{Status: 1}, nil
	}
	return client.CheckResult{}, nil
}

func (w *lowerer) lowered(what, name, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts = append(w.facts, fact{what, name, key})
}

// expiredItself reports whether it was not another that has expired, whose key the
// section has got, and which is lowered for it as long as it has that.
func (w *lowerer) expiredItself(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[name].Life.Expiry != nil
}

// raised is that a person has said so about the client of that name and key.
func (w *lowerer) raised(name, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []fact
	for _, f := range w.facts {
		if f.name != name && f.key != key {
			left = append(left, f)
		}
	}
	w.facts = left
}

// write puts clients.conf where the step says.
func (w *lowerer) write(s *loweringStep) {
	file := filepath.Join(w.dir, "clients.conf")
	_ = os.Remove(file)
	var err error
	switch s.file {
	case "missing":
	case "dangling":
		err = os.Symlink(filepath.Join(w.dir, "not-mounted"), file)
	case "empty":
		err = os.WriteFile(file, nil, 0o600)
	default:
		err = os.WriteFile(file, []byte(s.text()), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// read reads the configuration as the server does.
func (w *lowerer) read() (*config.Config, error) {
	flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
	options := config.AddFlags(flags)
	if err := flags.Parse([]string{"--configdir", w.dir}); err != nil {
		return nil, err
	}
	return options.Load()
}

// begin starts a server with the configuration that there is, if it can.
func (w *lowerer) begin(s *loweringStep) {
	w.write(s)
	conf, err := w.read()
	w.mu.Lock()
	var records []client.Record
	for _, record := range w.records {
		records = append(records, record)
	}
	w.mu.Unlock()
	r := client.New(w, w)
	if err == nil && !(conf.NoClientsFile && len(client.Missing(conf.Clients, records)) > 0) {
		if _, err = r.Load(conf.Clients, records); err == nil {
			w.follow(conf.Clients)
		}
	} else {
		err = errors.New("refused")
	}
	if err != nil { // somebody puts the former configuration back
		r = client.New(w, w)
		if _, err := r.Load(w.present, records); err != nil {
			w.t.Fatal(err)
		}
	}
	r.Subscribe(func(e client.Event) {
		if e.Kind == client.Disabled && e.Reason != client.ByAdministrator && e.Reason != client.ByConfiguration && e.Reason != client.RemovedByAdministrator {
			if w.expiredItself(e.Client.Name) {
				w.lowered("expired", e.Client.Name, e.Client.KeyID)
			}
		}
	})
	w.Registry = r
	r.Start()
	synctest.Wait()
}

// follow learns what the lines of a configuration that is in force say.
func (w *lowerer) follow(configured []client.Settings) {
	for _, s := range configured {
		before, known := w.before[s.Name]
		word := client.NoWord
		if s.EnabledOwn {
			word = map[bool]client.Word{true: client.WordYes, false: client.WordNo}[s.Enabled]
		}
		switch {
		case !s.Enabled && (!known || before.Enabled || word == client.WordNo && w.said[s.Name] != word):
			w.lowered("configuration", s.Name, s.KeyID)
		case known && word == client.WordYes && (w.said[s.Name] == client.WordNo || w.said[s.Name] == client.NoWord && !before.Enabled):
			w.raised(s.Name, s.KeyID)
		}
		w.before[s.Name] = s
		if word != client.NoWord {
			w.said[s.Name] = word
		}
	}
	w.present = configured
}

func (w *lowerer) play(steps []loweringStep) string {
	ctx := context.Background()
	admin := client.Actor{Kind: client.Caller, BusName: ":1.7", UID: 0, PID: 4711}
	w.begin(&loweringStep{file: "whole", lines: []string{"", "there\n", "there\n", "there\n"}, keys: []int{0, 1, 2}})
	defer func() { _ = w.Close(ctx) }()
	for i := range steps {
		s := &steps[i]
		time.Sleep(s.wait)
		synctest.Wait()
		view, there := w.Client(s.name)
		switch s.what {
		case "reload":
			w.write(s)
			conf, err := w.read()
			if err != nil || conf.NoClientsFile && len(w.Missing(conf.Clients)) > 0 {
				break
			}
			if _, err := w.Reload(ctx, client.FromConfiguration, conf.Clients); err == nil {
				w.follow(conf.Clients)
			}
		case "restart":
			if err := w.Close(ctx); err != nil {
				w.t.Fatal(err)
			}
			time.Sleep(s.wait)
			w.begin(s)
		case "crash":
			crashed := w.Registry
			saved := w.records
			w.records = make(map[string]client.Record)
			for name, record := range saved {
				w.records[name] = record
			}
			kept := w.records
			w.begin(s)
			now := w.Registry
			w.mu.Lock()
			w.records = make(map[string]client.Record) // what the dead one still saves is lost
			w.mu.Unlock()
			_ = crashed.Close(ctx)
			w.mu.Lock()
			w.records = kept
			w.mu.Unlock()
			w.Registry = now
		case "disable":
			if w.Disable(ctx, admin, s.name) == nil && there {
				w.lowered("disabled", s.name, view.KeyID)
			}
		case "enable":
			if w.Enable(ctx, admin, s.name) == nil {
				if now, ok := w.Client(s.name); ok {
					w.raised(s.name, now.KeyID)
				}
			}
		case "remove":
			if w.Remove(ctx, admin, s.name) == nil && there {
				w.lowered("removed", s.name, view.KeyID)
			}
		case "forget":
			if known := w.records[s.name]; w.Forget(ctx, admin, s.name) == nil {
				w.raised(s.name, known.KeyID)
				delete(w.before, s.name)
				delete(w.said, s.name)
			}
		case "fail", "succeed":
			w.mu.Lock()
			w.failing = s.what == "fail"
			w.mu.Unlock()
		}
		synctest.Wait()
		if failed := w.fetchAll(ctx); failed != "" {
			return fmt.Sprintf("after step %d, %s: %s", i, s.what, failed)
		}
	}
	return ""
}

// fetchAll asks with every key.
func (w *lowerer) fetchAll(ctx context.Context) string {
	for i := range loweredNames {
		key := loweredKey(i)
		h, err := w.Release(ctx, client.Identity{Kind: client.RawPublicKey, Hex: key}, client.Origin{})
		if err != nil {
			w.refused++
			continue
		}
		w.handedOut++
		h.NotReceived(errors.New("it was only a question"))
		w.mu.Lock()
		for _, f := range w.facts {
			if f.key == key || f.name == h.Client && f.what != "removed" {
				w.mu.Unlock()
				return fmt.Sprintf("%s got its secret with key %c, but was lowered: %+v", h.Client, key[0], f)
			}
		}
		w.mu.Unlock()
	}
	return ""
}
