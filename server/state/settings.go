// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"mandos/server/client"
)

// settings are saved by their keys in clients.conf, without the name and the secret,
// and without what follows from the standing. Durations are in nanoseconds. A setting
// that is missing, as it was new since, counts as one that the configuration changes.
type settings client.Settings

func (s *settings) of(name string, secret client.Secret) client.Settings {
	all := client.Settings(*s)
	all.Name, all.Secret, all.Enabled, all.EnabledOwn = name, secret, false, false
	return all
}

// MarshalJSON is part of [json.Marshaler].
func (s settings) MarshalJSON() ([]byte, error) {
	values := make(map[string]any, len(client.AllSettings))
	for i := range client.AllSettings {
		if setting := &client.AllSettings[i]; setting.Property != client.PropSecret {
			values[setting.Key] = setting.Value((*client.Settings)(&s))
		}
	}
	return json.Marshal(values)
}

// UnmarshalJSON is part of [json.Unmarshaler].
func (s *settings) UnmarshalJSON(content []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(content, &values); err != nil {
		return err
	}
	*s = settings{}
	for i := range client.AllSettings {
		setting := &client.AllSettings[i]
		value, saved := values[setting.Key]
		if !saved || setting.Property == client.PropSecret {
			continue
		}
		if err := json.Unmarshal(value, setting.Field((*client.Settings)(s))); err != nil {
			return err
		}
		delete(values, setting.Key)
	}
	if len(values) > 0 {
		return &unknownSettingError{slices.Sorted(maps.Keys(values))[0]}
	}
	return nil
}

// unknownSettingError says that a record has a setting that there is not.
type unknownSettingError struct{ key string }

func (e *unknownSettingError) Error() string {
	return fmt.Sprintf("has the setting %q, which this version of mandos does not know: a newer one wrote the file; run that version", e.key)
}
