// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"mandos/server/bus"
	"mandos/server/client"
	"mandos/server/privileges"
	"mandos/server/state"
	"mandos/server/zeroconf"
)

// trial is what a check tries as the user that the server becomes: another than
// root may be refused what root is not.
type trial struct {
	StateDir     string
	StateMissing bool // and so is not to be tried
	Restore      bool
	Configured   []string // the names of the clients
	UseDBus      bool
	Zeroconf     bool
}

// outcome is what a trial has found.
type outcome struct {
	Verdicts []verdict
	Running  bool     // a server has the state
	Missing  []string // the clients that would be gone
}

// trialMode marks the process that only tries. Its standard input is the trial.
const trialMode = "MANDOS_TRIES"

func isTrial() bool { return os.Getenv(trialMode) != "" }

// tryAsServer tries in this process, or, as root, in one that is the server's user
// as the server will be.
func tryAsServer(ctx context.Context, t trial) (outcome, error) {
	if os.Geteuid() != 0 {
		return t.run(ctx), nil
	}
	question, err := json.Marshal(t)
	if err != nil {
		return outcome{}, err
	}
	var answer, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), trialMode+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &answer, &complaints
	user := privileges.Find()
	if err := privileges.Start(cmd, user); err != nil {
		return outcome{}, err
	}
	if err := cmd.Wait(); err != nil {
		return outcome{}, fmt.Errorf("the process that tries as %s: %w %s", user.Name, err, complaints.String())
	}
	var o outcome
	err = json.Unmarshal(answer.Bytes(), &o)
	return o, err
}

// serveTrial is the whole life of that process.
func serveTrial(ctx context.Context, question io.Reader, answer io.Writer) error {
	var t trial
	if err := json.NewDecoder(question).Decode(&t); err != nil {
		return err
	}
	return json.NewEncoder(answer).Encode(t.run(ctx))
}

func (t trial) run(ctx context.Context) (o outcome) {
	tell := func(severity, format string, args ...any) {
		o.Verdicts = append(o.Verdicts, verdict{severity, fmt.Sprintf(format, args...)})
	}
	if !t.StateMissing {
		o.Running, o.Missing = t.tryState(tell)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if t.UseDBus {
		tryBus(ctx, tell, o.Running)
	}
	if t.Zeroconf {
		lookForAvahi(ctx, tell)
	}
	return o
}

func (t trial) tryState(tell func(severity, format string, args ...any)) (running bool, missing []string) {
	records, err := state.Try(t.StateDir, t.Restore)
	switch {
	case errors.Is(err, state.ErrInUse):
		tell(isFine, "a server is running on the state directory %s, so the state was not tried", t.StateDir)
		return true, nil
	case err != nil:
		tell(isFault, "%v", err)
	default:
		tell(isFine, "the server can use the state directory %s, which knows %d clients", t.StateDir, len(records))
	}
	configured := make([]client.Settings, len(t.Configured))
	for i, name := range t.Configured {
		configured[i].Name = name
	}
	return false, client.Missing(configured, records)
}

func tryBus(ctx context.Context, tell func(severity, format string, args ...any), running bool) {
	err := bus.Try(ctx)
	switch {
	case err == nil && running:
		tell(isWarn, "D-Bus: the server that is running is not on the system bus, though it could be; mandosctl does not reach it")
	case err == nil:
		tell(isFine, "the server can be on the system bus")
	case errors.Is(err, bus.ErrTaken) && running:
		tell(isFine, "the server that is running is on the system bus")
	case errors.Is(err, bus.ErrTaken):
		tell(isWarn, "D-Bus: %v, with another state directory; the server would serve without D-Bus until that one ends", err)
	default:
		tell(isWarn, "D-Bus: %v; the server would serve without until that is mended, and mandosctl not reach it", err)
	}
}

func lookForAvahi(ctx context.Context, tell func(severity, format string, args ...any)) {
	presence, err := zeroconf.Look(ctx)
	switch {
	case err != nil:
		tell(isWarn, "Avahi: the system bus cannot be reached: %v; clients that look for the server do not find it until then", err)
	case presence == zeroconf.Present:
		tell(isFine, "avahi-daemon is on the system bus")
	case presence == zeroconf.Activatable:
		tell(isFine, "avahi-daemon does not run, and the system bus can start it")
	default:
		tell(isWarn, "avahi-daemon is not on the system bus; install and start it, or set zeroconf = no: clients that look for the server do not find it until then")
	}
}
