// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mandos/server/bus"
	"mandos/server/checker"
	"mandos/server/client"
	"mandos/server/config"
	"mandos/server/configreader"
	"mandos/server/daemonize"
	"mandos/server/handout"
	"mandos/server/history"
	"mandos/server/listening"
	"mandos/server/logging"
	"mandos/server/pidfile"
	"mandos/server/privileges"
	"mandos/server/state"
	"mandos/server/statistics"
	"mandos/server/systemd"
	"mandos/server/zeroconf"
)

// How long the end of the server may take: for those who are being served, and
// for saving the state and ending the checkers.
const (
	serveGrace = 5 * time.Second
	closeGrace = 30 * time.Second
)

// pidPath is where a daemon leaves its process ID.
const pidPath = "/run/mandos.pid"

// daemon is the server while it runs, with all its parts.
type daemon struct {
	settings  *settings
	parent    *daemonize.Parent // nil in the foreground
	started   time.Time
	level     *slog.LevelVar
	name      *logging.ServiceName
	log       *slog.Logger
	logLimits *logging.Limits

	sockets  *listening.Sockets
	reader   *configreader.Reader
	checker  *checker.Runner
	counted  *statistics.Statistics
	store    *state.Store
	history  *history.Keeper
	registry *client.Registry
	bus      *bus.Service // nil without D-Bus
	handout  *handout.Server
	zeroconf *zeroconf.Announcer // nil without Zeroconf

	pid       atomic.Pointer[pidfile.File] // nil in the foreground
	hangups   <-chan os.Signal
	places    atomic.Pointer[map[string]string] // of the clients' sections, as last read
	reloading chan struct{}                     // holds one token while a reload is under way
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, s *settings, parent *daemonize.Parent, hangups <-chan os.Signal) error {
	d := &daemon{settings: s, parent: parent, started: time.Now(), level: new(slog.LevelVar), name: new(logging.ServiceName),
		hangups: hangups, reloading: make(chan struct{}, 1)}
	d.places.Store(&s.Places)
	d.level.Set(s.level)
	d.name.Set(s.ServiceName)
	d.log = logging.New(logging.Choose(!s.Foreground), d.level, d.name)
	d.tellWarnings(s.Warnings, s.Clients)
	d.log.Debug("what the priority string offers", "priority", s.Priority, "offer", s.offer)
	err := starting(ctx, func() error {
		if err := d.openWithPrivileges(); err != nil {
			return err
		}
		return d.open()
	})
	if err != nil {
		return errors.Join(err, d.releasePID())
	}
	err = d.work(ctx)
	if err != nil && parent != nil { // whose standard error leads nowhere now
		d.log.Error("the server has ended with an error", "error", err)
	}
	return err
}

// openWithPrivileges does what root may have to do, and then gives root up for good.
func (d *daemon) openWithPrivileges() (err error) {
	wish := d.settings.whereToListen()
	if wish.File == nil {
		if wish.File, err = systemd.Socket(); err != nil {
			return err
		}
	}
	if d.sockets, err = listening.Open(wish, d.log); err != nil {
		return err
	}
	user := privileges.Find()
	if os.Geteuid() == 0 && user.Makeshift() {
		d.log.Warn(makeshiftUser(user))
	}
	if d.reader, err = startReader(user, d.settings.options); err != nil {
		return err
	}
	if err := d.writePID(); err != nil {
		return err
	}
	if err := makeStateDir(d.settings.StateDir, user); err != nil {
		return err
	}
	if err := privileges.Drop(user); err != nil {
		return err
	}
	return privileges.Harden()
}

// writePID leaves the PID file of a daemon. Only that another one runs is a reason
// not to start.
func (d *daemon) writePID() error {
	if d.parent == nil {
		return nil
	}
	file, err := pidfile.Create(pidPath)
	if running := (*pidfile.RunningError)(nil); errors.As(err, &running) {
		return err
	}
	if err != nil {
		d.log.Error("serving without a PID file", "error", err)
	}
	d.pid.Store(file)
	return nil
}

// releasePID is for the end, also for that of a start which was left behind.
func (d *daemon) releasePID() error {
	if file := d.pid.Swap(nil); file != nil {
		return file.Release()
	}
	return nil
}

// makeStateDir makes the state directory for the user, while root still can.
func makeStateDir(dir string, user privileges.User) error {
	made, err := state.MakeDirectory(dir, serverUser())
	if err != nil || !made || os.Geteuid() != 0 {
		return err
	}
	if err := os.Chown(dir, int(user.UID), int(user.GID)); err != nil {
		return fmt.Errorf("cannot give the state directory to %s: %w", user.Name, err)
	}
	return nil
}

// open acquires everything else that may fail, in the order in which it is needed.
func (d *daemon) open() (err error) {
	d.logLimits = logging.NewLimits(d.log)
	if d.checker, err = checker.New(d.log); err != nil {
		return err
	}
	openState := state.Open
	if !d.settings.Restore {
		openState = state.OpenAnew
	}
	if d.store, err = openState(d.settings.StateDir, d.log); err != nil {
		return err
	}
	d.counted = statistics.New(func() int { return d.handout.Strangers() })
	d.registry = client.New(d.counted.Checker(d.checker), d.counted.Journal(d.store))
	d.registry.Subscribe(d.counted.Tell)
	d.registry.Subscribe(logging.Events(d.log, d.logLimits))
	d.history = history.New(d.store, d.log)
	d.registry.Subscribe(d.history.Tell)
	if d.settings.UseDBus {
		d.bus = bus.New(d.registry, d, "", d.log)
		d.registry.Subscribe(d.bus.Tell)
	}
	records, err := d.store.Records(d.settings.Clients)
	if err != nil {
		return errors.Join(err, d.store.Close())
	}
	if err := d.resume(); err != nil {
		return errors.Join(err, d.store.Close())
	}
	if err := d.load(records); err != nil {
		return errors.Join(err, d.store.Close())
	}
	limits := handout.DefaultLimits
	limits.Strangers = d.settings.MaxUnproven
	d.handout = handout.New(d.registry, d.settings.offer.Config(d.registry.NeedsOpenPGP), limits, d.counted, d.logLimits.Strangers())
	if d.settings.Zeroconf {
		service := zeroconf.Service{Name: d.settings.ServiceName, Type: "_mandos._tcp", Port: d.sockets.State().Port}
		d.zeroconf = zeroconf.New(service, d.log, d.tellReach)
	}
	return nil
}

// work serves until ctx ends, and then leaves everything in order.
func (d *daemon) work(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx)
	serving, stop := context.WithCancelCause(lasting)
	defer context.AfterFunc(ctx, func() { stop(client.ErrClosed) })()
	hearing, leave := context.WithCancel(lasting) // to the registry, to its last event
	defer leave()
	var background sync.WaitGroup
	starting, started := context.WithCancel(serving)
	defer started()
	background.Go(func() { systemd.ExtendStart(starting) })

	d.registry.Start()
	background.Go(func() { d.history.Run(hearing) })
	if d.bus != nil {
		background.Go(func() { d.bus.Run(hearing) })
		select {
		case <-d.bus.Tried():
		case <-serving.Done():
		}
	}
	if d.zeroconf != nil {
		d.announce()
		background.Go(func() { d.zeroconf.Run(serving) })
	}
	background.Go(func() { d.sockets.Run(serving, d.followSockets) })
	background.Go(func() { d.checkUplink(serving) })
	background.Go(func() { d.decryptSecrets(serving) })
	background.Go(func() { d.reloadOnHangup(serving) })
	background.Go(func() { d.tellStatus(serving) })
	background.Go(func() { d.tellReaderGone(serving) })
	background.Go(func() { d.notify(systemd.FeedWatchdog(serving, d.registry.Alive)) })

	served := make(chan error, 1)
	background.Go(func() {
		served <- d.handout.Serve(serving, d.sockets)
		stop(client.ErrClosed)
	})
	err := d.ready()
	started()
	if err != nil {
		stop(err)
	}
	<-serving.Done()
	err = errors.Join(err, d.finish(lasting), <-served)
	leave()
	background.Wait()
	return errors.Join(err, d.letGo())
}

// ready tells everybody who waits for it that the server serves.
func (d *daemon) ready() error {
	d.log.Info("serving", "version", version, "address", d.sockets.State(), "clients", len(d.settings.Clients))
	d.notify(systemd.Ready(d.sentence()))
	if d.parent != nil {
		if err := d.parent.Ready(); err != nil {
			return err
		}
	}
	debug.FreeOSMemory() // what starting took is much more than what serving takes
	return nil
}

// decryptSecrets does in the background what hand-outs would do one by one.
func (d *daemon) decryptSecrets(ctx context.Context) {
	if err := d.store.DecryptAll(ctx); err != nil {
		d.log.Error("the saved secrets were not all decrypted; the next start goes on with them", "error", err)
	}
}

// finish lets those who are being served have what they came for, and saves what
// is left.
func (d *daemon) finish(ctx context.Context) error {
	d.log.Info("exiting")
	d.notify(systemd.Stopping())
	grace, cancel := context.WithTimeout(ctx, serveGrace)
	defer cancel()
	if d.sockets.Inherited() {
		d.handout.StopAccepting() // who else has the socket keeps it for our successor
	}
	d.handout.Finish(grace)
	grace, cancel = context.WithTimeout(ctx, closeGrace)
	defer cancel()
	err := d.registry.Close(grace)
	d.logLimits.Report()
	return err
}

// letGo closes what open opened.
func (d *daemon) letGo() error {
	err := errors.Join(d.checker.Close(), d.store.Close())
	d.reader.Close()
	return errors.Join(err, d.releasePID())
}

func (d *daemon) tellWarnings(warnings []config.Warning, clients []client.Settings) {
	for _, warning := range warnings {
		d.log.Warn(warning.String())
	}
	if len(clients) == 0 {
		d.log.Warn("no clients defined", "directory", d.settings.ConfigDir)
	}
	for _, warning := range unserved(d.settings.offer, clients) {
		d.log.Warn(warning)
	}
}
