// SPDX-License-Identifier: Apache-2.0

package client

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// eachSetting calls do with settings of which only the field of that name is set.
func eachSetting(t *testing.T, but []string, do func(t *testing.T, name string, only Settings)) {
	values := map[reflect.Type]any{
		reflect.TypeFor[string]():        "text",
		reflect.TypeFor[bool]():          true,
		reflect.TypeFor[int]():           2,
		reflect.TypeFor[time.Duration](): time.Hour,
		reflect.TypeFor[Secret]():        NewSecret([]byte("secret")),
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if slices.Contains(but, field.Name) {
			continue
		}
		t.Run(field.Name, func(t *testing.T) {
			var only Settings
			reflect.ValueOf(&only).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(values[field.Type]))
			do(t, field.Name, only)
		})
	}
}

func TestEverySettingFollowsTheConfiguration(t *testing.T) {
	eachSetting(t, []string{"Name", "Enabled", "EnabledOwn"}, func(t *testing.T, name string, now Settings) {
		merged, changed := merge(Record{}, now)
		if merged.Settings != now || !slices.Equal(changed, []Property{Property(name)}) {
			t.Errorf("in force: %+v, told: %v", merged.Settings, changed)
		}
	})
}

func TestASettingThatIsAsTheConfigurationSaysByNowIsNoChange(t *testing.T) {
	eachSetting(t, []string{"Name", "Enabled", "EnabledOwn"}, func(t *testing.T, _ string, now Settings) {
		merged, changed := merge(Record{Settings: now}, now)
		if merged.Settings != now || merged.Configured != now || len(changed) > 0 {
			t.Errorf("in force: %+v, told: %v", merged.Settings, changed)
		}
	})
}

func TestEverySettingThatIsNotFixedCanBeUpdated(t *testing.T) {
	eachSetting(t, []string{"Name", "Enabled", "EnabledOwn"}, func(t *testing.T, name string, want Settings) {
		setting, _ := SettingOf(Property(name))
		told := []Property{setting.Property}
		u := Update{setting.Property: setting.Value(&want)}
		if setting.Fixed {
			want, told = Settings{}, nil
		}
		var s Settings
		if changed := u.applyTo(&s); s != want || !slices.Equal(changed, told) {
			t.Errorf("in force: %+v, told: %v", s, changed)
		}
	})
}

func TestEverySettingIsReadAsItIsWritten(t *testing.T) {
	eachSetting(t, []string{"Name", "Enabled", "EnabledOwn"}, func(t *testing.T, name string, want Settings) {
		setting, _ := SettingOf(Property(name))
		var s Settings
		err := setting.Parse(&s, setting.Text(&want))
		if setting.Property == PropSecret {
			want = Settings{}
		}
		if err != nil || s != want {
			t.Errorf("%q is %+v, %v", setting.Text(&want), s, err)
		}
	})
}
