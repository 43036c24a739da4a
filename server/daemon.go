// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"mandos/server/bus"
	"mandos/server/checker"
	"mandos/server/client"
	"mandos/server/handout"
	"mandos/server/keytls"
	"mandos/server/logging"
	"mandos/server/state"
	"mandos/server/zeroconf"
)

// How long the end of the server may take: for those who are being served, and
// for saving the state and ending the checkers.
const (
	serveGrace = 5 * time.Second
	closeGrace = 30 * time.Second
)

// daemon is the server while it runs, with all its parts.
type daemon struct {
	settings *settings
	started  time.Time
	level    *slog.LevelVar
	name     *logging.ServiceName
	log      *slog.Logger

	listener *net.TCPListener
	checker  *checker.Runner
	store    *state.Store
	registry *client.Registry
	bus      *bus.Service // nil without D-Bus
	handout  *handout.Server
	zeroconf *zeroconf.Announcer // nil without Zeroconf

	reloading sync.Mutex
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, s *settings) error {
	d := &daemon{settings: s, started: time.Now(), level: new(slog.LevelVar), name: new(logging.ServiceName)}
	d.level.Set(s.level)
	d.name.Set(s.ServiceName)
	d.log = logging.New(logging.Choose(!s.Foreground), d.level, d.name)
	d.tellWarnings(s)
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.work(ctx)
}

// open acquires everything that may fail, in the order in which it is needed.
func (d *daemon) open(ctx context.Context) (err error) {
	if d.listener, err = d.socket().Listen(ctx, func(err error) { d.log.Error(err.Error()) }); err != nil {
		return err
	}
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
	d.registry = client.New(d.checker, d.store)
	d.registry.Subscribe(logging.Events(d.log))
	if d.settings.UseDBus {
		d.bus = bus.New(d.registry, d, "", d.log)
		d.registry.Subscribe(d.bus.Tell)
	}
	records, err := d.store.Records(d.settings.Clients)
	if err != nil {
		return errors.Join(err, d.store.Close())
	}
	d.registry.Load(d.settings.Clients, records)
	limits := handout.DefaultLimits
	limits.Strangers = d.settings.MaxUnproven
	d.handout = handout.New(d.registry, keytls.Config{}, limits, logging.Limit(d.log))
	if d.settings.Zeroconf {
		d.zeroconf = zeroconf.New(d.service(), d.log, d.name.Set)
	}
	return nil
}

func (d *daemon) service() zeroconf.Service {
	return zeroconf.Service{
		Name:      d.settings.ServiceName,
		Type:      "_mandos._tcp",
		Port:      d.address().Port(),
		Interface: d.settings.Interface,
		IPv4:      !d.settings.UseIPv6,
	}
}

// address is where we listen.
func (d *daemon) address() netip.AddrPort {
	return d.listener.Addr().(*net.TCPAddr).AddrPort()
}

func (d *daemon) socket() handout.Socket {
	s := handout.Socket{
		Interface: d.settings.Interface,
		Address:   d.settings.Address,
		Port:      d.settings.Port,
		IPv4Only:  !d.settings.UseIPv6,
	}
	if d.settings.Socket >= 0 {
		s.FD = &d.settings.Socket
	}
	return s
}

// work serves until ctx ends, and then leaves everything in order.
func (d *daemon) work(ctx context.Context) error {
	d.registry.Start()
	busContext, leaveBus := context.WithCancel(context.WithoutCancel(ctx))
	defer leaveBus()
	var background sync.WaitGroup
	defer background.Wait()
	if d.bus != nil {
		background.Go(func() { d.bus.Run(busContext) })
		<-d.bus.Tried()
	}

	serving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { stop(client.ErrClosed) })()
	background.Go(func() { d.reloadOnHangup(serving) })
	if d.zeroconf != nil {
		background.Go(func() { d.zeroconf.Run(serving) })
	}
	d.log.Info("serving", "version", version, "address", d.address(), "clients", len(d.registry.Clients()))
	err := d.handout.Serve(serving, d.listener)
	stop(client.ErrClosed)

	d.log.Info("exiting")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveGrace)
	defer cancel()
	d.handout.Wait(grace)
	grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	err = errors.Join(err, d.registry.Close(grace))
	leaveBus()
	return errors.Join(err, d.checker.Close(), d.store.Close())
}
