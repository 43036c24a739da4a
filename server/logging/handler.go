// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// entry is a record with its attributes resolved. Its texts may hold anything.
type entry struct {
	time    time.Time
	level   slog.Level
	service string
	message string
	fields  []field
}

// field is one attribute; the names of its groups are part of the key.
type field struct{ key, value string }

// handler turns slog's records into entries.
type handler struct {
	to      Destination
	level   slog.Leveler
	service *ServiceName
	fields  []field
	group   string // "" or ends in a dot
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	fields := slices.Clip(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		fields = appendAttr(fields, h.group, a)
		return true
	})
	h.to.write(entry{
		time:    r.Time,
		level:   r.Level,
		service: h.service.String(),
		message: r.Message,
		fields:  fields,
	})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = slices.Clip(h.fields)
	for _, a := range attrs {
		with.fields = appendAttr(with.fields, h.group, a)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group += name + "."
	return &with
}

func appendAttr(fields []field, group string, a slog.Attr) []field {
	value := a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return fields
	case value.Kind() == slog.KindGroup:
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, inner := range value.Group() {
			fields = appendAttr(fields, group, inner)
		}
		return fields
	case value.Kind() == slog.KindTime:
		return append(fields, field{group + a.Key, value.Time().Format(time.RFC3339)})
	}
	return append(fields, field{group + a.Key, value.String()})
}
