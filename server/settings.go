// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"mandos/server/config"
	"mandos/server/keytls/priority"
	"mandos/server/listening"
	"mandos/server/logging"
)

// settings is the configuration with everything judged that package config
// leaves to those who know.
type settings struct {
	*config.Config
	options *config.Options
	level   slog.Level
	offer   *priority.Priority // in TLS
}

// load reads and judges the configuration. With [config.Errors] the settings are
// there too, for their warnings alone.
func load(options *config.Options) (*settings, error) {
	conf, err := options.Load()
	var bad config.Errors
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	level, err := logging.ParseLevel(conf.LogLevel)
	if err != nil {
		bad = append(bad, config.Error{Place: conf.Origin("debuglevel"), Problem: err.Error()})
	}
	offer, err := priority.Parse(conf.Priority)
	if err != nil {
		bad = append(bad, config.Error{Place: conf.Origin("priority"), Problem: err.Error()})
	}
	if conf.Debug {
		level = slog.LevelDebug
	}
	s := &settings{Config: conf, options: options, level: level, offer: offer}
	if len(bad) > 0 {
		return s, bad
	}
	return s, nil
}

// whereToListen is what the settings say.
func (s *settings) whereToListen() listening.Wish {
	wish := listening.Wish{
		Interfaces: s.Interfaces,
		Addresses:  s.Addresses,
		Port:       s.Port,
		IPv4Only:   !s.UseIPv6,
	}
	if s.Socket >= 0 {
		wish.File = os.NewFile(uintptr(s.Socket), fmt.Sprintf("descriptor %d", s.Socket))
	}
	return wish
}
