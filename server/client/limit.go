// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mandos/dbusapi/notation"
)

// limit is how often a client may get its secret: so many times within so long.
type limit struct {
	times  int
	within time.Duration
}

// maxTimes bounds a limit, and a grant. All hand-outs that a limit counts are kept.
const maxTimes = 100

// maxLost is how many hand-outs that did not arrive count for nothing, so that a lost
// connection does not strand a host.
const maxLost = 3

// parseLimit reads what handout_limit is. No error shows it: it may be a secret that was
// swallowed by a slip in clients.conf.
func parseLimit(text string) (limit, error) {
	times, within, cut := strings.Cut(text, "/")
	n, err := strconv.Atoi(strings.TrimSpace(times))
	if !cut || err != nil {
		return limit{}, errors.New("the handout_limit is not a number of times and how long, with a slash between; write for example 3/PT1H")
	}
	if n < 1 || n > maxTimes {
		return limit{}, fmt.Errorf("the handout_limit is %d times; it must be from 1 to %d", n, maxTimes)
	}
	d, err := notation.ParseDuration(strings.TrimSpace(within))
	if err != nil {
		return limit{}, fmt.Errorf("the time of the handout_limit %w", err)
	}
	if d < time.Second || d > keepHanded {
		return limit{}, fmt.Errorf("the handout_limit is about %s; it must be from 1s to 1d", notation.FormatDuration(d))
	}
	return limit{n, d}, nil
}

// judgeLimitSetting is the fault of the setting.
func judgeLimitSetting(_ *Setting, s *Settings) error {
	if s.HandoutLimit == "" {
		return nil
	}
	_, err := parseLimit(s.HandoutLimit)
	return err
}

// judgeLimit counts the hand-outs but for the one that is judged.
func judgeLimit(r *Registry, of *request) Ruling {
	c := of.client
	if c.HandoutLimit == "" {
		return Ruling{Verdict: Passes}
	}
	ruling := Ruling{Verdict: Refuses, Refusal: TooOften, Remedy: ToSetLimit, Note: "handout_limit is " + c.HandoutLimit}
	most, err := parseLimit(c.HandoutLimit)
	if err != nil { // which no setting can be; but it fails closed
		ruling.Note = err.Error()
		return ruling
	}
	count, lost := 0, 0
	for i := len(c.Handed) - 1; i >= 0; i-- {
		handed := &c.Handed[i]
		age := handed.age()
		if age >= most.within || handed.ID == of.entered {
			continue
		}
		if handed.Outcome == NotArrived {
			if lost++; lost <= maxLost {
				continue
			}
		}
		count++
		if count == most.times {
			ruling.Until = r.wall().Add(most.within - age) // when this one counts no more
			return ruling
		}
	}
	ruling.Verdict, ruling.Refusal, ruling.Remedy = Passes, "", ""
	return ruling
}
