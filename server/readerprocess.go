// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	"mandos/server/client"
	"mandos/server/config"
	"mandos/server/configreader"
	"mandos/server/privileges"
)

// reading is what a reload takes from the configuration, as it passes from the
// process that may read it to the one that serves.
type reading struct {
	Level    slog.Level
	Clients  []client.Settings
	Secrets  [][]byte // one for each of the clients
	NoFile   bool     // clients.conf is missing
	Places   map[string]string
	Warnings []config.Warning
}

// readerMode marks the process that only reads the configuration.
const readerMode = "MANDOS_READS_CONFIGURATION"

// readerName is what that process is called in lists of processes.
const readerName = "mandos-reader"

func isReader() bool { return os.Getenv(readerMode) != "" }

// startReader arranges for reading the configuration again after the server has
// become that user.
func startReader(user privileges.User, options *config.Options) (*configreader.Reader, error) {
	if !privileges.ReadsAll() {
		return configreader.Direct(func() ([]byte, error) { return encodeReading(options) }), nil
	}
	// Not by its path, which the user may not be able to reach.
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = readerName
	cmd.Env = append(os.Environ(), readerMode+"=1")
	return configreader.Start(cmd, func(cmd *exec.Cmd) error {
		return privileges.Start(cmd, user, privileges.ReadAll)
	})
}

// serveReader is the whole life of the process that only reads the configuration.
func serveReader(options *config.Options) error {
	// Else it would be "exe". It is not worth an error, and impossible later.
	_ = os.WriteFile("/proc/self/comm", []byte(readerName), 0)
	if err := privileges.Harden(); err != nil {
		return err
	}
	return configreader.Serve(func() ([]byte, error) { return encodeReading(options) })
}

func encodeReading(options *config.Options) ([]byte, error) {
	s, err := load(options)
	if err != nil {
		return nil, err
	}
	r := reading{Level: s.level, Clients: s.Clients, NoFile: s.NoClientsFile, Places: s.Places, Warnings: s.Warnings}
	for _, c := range s.Clients {
		r.Secrets = append(r.Secrets, c.Secret.Bytes())
	}
	return json.Marshal(r)
}

// readAgain reads the configuration by means of the reader.
func readAgain(ctx context.Context, reader *configreader.Reader) (reading, error) {
	encoded, err := reader.Read(ctx)
	if err != nil {
		return reading{}, err
	}
	var r reading
	if err := json.Unmarshal(encoded, &r); err != nil {
		return reading{}, fmt.Errorf("the configuration was not understood: %w", err)
	}
	if len(r.Secrets) != len(r.Clients) {
		return reading{}, fmt.Errorf("the configuration was not understood: %d secrets for %d clients", len(r.Secrets), len(r.Clients))
	}
	for i := range r.Clients {
		r.Clients[i].Secret = client.NewSecret(r.Secrets[i])
	}
	return r, nil
}
