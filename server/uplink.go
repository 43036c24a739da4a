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
	told := false // that it says nothing
	for {
		verdict, result, err := d.tryUplink(ctx)
		if ctx.Err() != nil {
			return
		}
		if verdict == uplinkUnknown && !told {
			d.log.Error("The uplink check cannot be run, and so nothing is lent; see to uplink_check",
				"command", d.settings.UplinkCheck, "status", result.Status, "output", result.Output, "error", err)
		}
		told = verdict == uplinkUnknown
		d.registry.UplinkChecked(verdict != uplinkFails, result)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// uplinkVerdict is what a check says of the uplink.
type uplinkVerdict string

const (
	uplinkWorks   uplinkVerdict = "works"
	uplinkFails   uplinkVerdict = "fails"
	uplinkUnknown uplinkVerdict = "unknown" // for which nothing is lent either
)

// tryUplink runs the uplink check once.
func (d *daemon) tryUplink(ctx context.Context) (uplinkVerdict, client.CheckResult, error) {
	ctx, cancel := context.WithTimeout(ctx, uplinkPatience)
	defer cancel()
	result, err := d.checker.Check(ctx, "(uplink)", d.settings.UplinkCheck)
	late := ctx.Err() != nil
	if late && result.Output == "" {
		result.Output = "it took longer than " + uplinkPatience.String()
	}
	return judgeUplink(result, err, late), result, err
}

// judgeUplink takes one that took too long for one that failed. That a program is missing
// or must not be run, as the shell says by its exit status, or that it was killed, says
// nothing of the network.
func judgeUplink(result client.CheckResult, err error, late bool) uplinkVerdict {
	const mustNotBeRun, notFound = 126, 127
	switch {
	case late:
		return uplinkFails
	case err != nil, result.Signal != 0, result.Status == mustNotBeRun, result.Status == notFound:
		return uplinkUnknown
	case result.Status != 0:
		return uplinkFails
	}
	return uplinkWorks
}
