// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"mandos/server/client"
)

// How often it is checked whether the server's own network works, and how long that may
// take.
const (
	uplinkInterval = 5 * time.Second
	uplinkPatience = 30 * time.Second
)

// checkUplink runs the uplink check again and again until ctx ends, if there is one.
func (d *daemon) checkUplink(ctx context.Context) {
	if d.settings.UplinkCheck == "" || d.settings.UplinkGrace == 0 {
		return
	}
	tick := time.NewTicker(uplinkInterval)
	defer tick.Stop()
	told := false // that it cannot be run
	for {
		works, result, err := d.tryUplink(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil || cannotRun(result) {
			if !told {
				d.log.Error("The uplink check cannot be run, and so nothing is lent; see to uplink_check",
					"command", d.settings.UplinkCheck, "status", result.Status, "output", result.Output, "error", err)
			}
			told, works = true, true
		} else {
			told = false
		}
		d.registry.UplinkChecked(works, result)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tryUplink runs the uplink check once. One that takes too long has failed.
func (d *daemon) tryUplink(ctx context.Context) (works bool, result client.CheckResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, uplinkPatience)
	defer cancel()
	result, err = d.checker.Check(ctx, "(uplink)", d.settings.UplinkCheck)
	if ctx.Err() != nil && result.Output == "" {
		result.Output = "it took longer than " + uplinkPatience.String()
	}
	return result.OK() || result.Signal != 0 && ctx.Err() == nil, result, err
}

// cannotRun reports whether the shell says that a program is missing or must not be run:
// that says nothing of the network.
func cannotRun(result client.CheckResult) bool {
	const mustNotBeRun, notFound = 126, 127
	return result.Status == mustNotBeRun || result.Status == notFound
}
