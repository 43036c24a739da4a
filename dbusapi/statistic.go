// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// Statistics are what the server has counted since its start, by their names: uint64 for
// a number, float64 for seconds.
type Statistics map[string]any

// Encode is how the bus carries them.
func (s Statistics) Encode() map[string]dbus.Variant {
	values := make(map[string]dbus.Variant, len(s))
	for name, value := range s {
		values[name] = dbus.MakeVariant(value)
	}
	return values
}

// StatisticType tells how a value behaves.
type StatisticType string

// The types.
const (
	Counter StatisticType = "counter" // it only goes up, until the server is restarted
	Gauge   StatisticType = "gauge"
)

// Statistic is what there is to know of one of the values but the value. A name with a
// dot is one of several kinds of a thing, after the dot, and Label says what the kinds
// are.
type Statistic struct {
	Name  string
	Type  StatisticType
	Unit  string // "seconds", or empty for a number
	Label string
	Help  string
}

func (s *Statistic) field(column string) any {
	switch column {
	case "Name":
		return &s.Name
	case "Type":
		return &s.Type
	case "Unit":
		return &s.Unit
	case "Label":
		return &s.Label
	case "Help":
		return &s.Help
	}
	return nil
}

// ListStatistics asks the server what it counts.
func (conn *Connection) ListStatistics(ctx context.Context) ([]Statistic, error) {
	var columns []string
	var rows [][]string
	if err := conn.call(ctx, ServerPath, ServerInterface1+".ListStatistics", nil, &columns, &rows); err != nil {
		return nil, err
	}
	return statisticsIn(columns, rows)
}

func statisticsIn(columns []string, rows [][]string) ([]Statistic, error) {
	all := make([]Statistic, len(rows))
	for i, row := range rows {
		if len(row) != len(columns) {
			return nil, errors.New("the server's list of statistics cannot be understood")
		}
		for j, column := range columns {
			if err := setText(all[i].field(column), row[j]); err != nil {
				return nil, fmt.Errorf("a statistic's %s: %w", column, err)
			}
		}
	}
	return all, nil
}

// storeStatistics takes values from the bus.
func storeStatistics(into *Statistics, values map[string]dbus.Variant) error {
	all := make(Statistics, len(values))
	for name, value := range values {
		switch value := value.Value().(type) {
		case uint64, float64:
			all[name] = value
		default:
			return fmt.Errorf("the statistic %s is a %T, and no number", name, value)
		}
	}
	*into = all
	return nil
}
