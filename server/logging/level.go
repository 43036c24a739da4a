// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"fmt"
	"log/slog"
	"strings"
)

// DefaultLevel shows everything that somebody may have to account for.
const DefaultLevel = slog.LevelInfo

// LevelCritical is Python's logging level CRITICAL, which slog lacks.
const LevelCritical = slog.LevelError + 4

var levels = map[string]slog.Level{
	"CRITICAL": LevelCritical,
	"FATAL":    LevelCritical,
	"ERROR":    slog.LevelError,
	"WARNING":  slog.LevelWarn,
	"WARN":     slog.LevelWarn,
	"INFO":     slog.LevelInfo,
	"DEBUG":    slog.LevelDebug,
	"NOTSET":   slog.LevelDebug,
}

// ParseLevel reads the name of one of Python's logging levels, in any case.
func ParseLevel(name string) (slog.Level, error) {
	level, ok := levels[strings.ToUpper(name)]
	if !ok {
		return 0, fmt.Errorf("%q is not a logging level; write DEBUG, INFO, WARNING, ERROR or CRITICAL", name)
	}
	return level, nil
}

// severity is one step of a level scale, as the log shows it and as syslog(3)
// numbers it.
type severity struct {
	name     string
	priority int
}

func severityOf(level slog.Level) severity {
	switch {
	case level >= LevelCritical:
		return severity{"CRITICAL", 2}
	case level >= slog.LevelError:
		return severity{"ERROR", 3}
	case level >= slog.LevelWarn:
		return severity{"WARNING", 4}
	case level >= slog.LevelInfo:
		return severity{"INFO", 6}
	}
	return severity{"DEBUG", 7}
}

// LevelName is the name that [ParseLevel] reads.
func LevelName(level slog.Level) string { return severityOf(level).name }
