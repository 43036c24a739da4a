// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strconv"

	"github.com/spf13/pflag"

	"mandos/dbusapi/notation"
	"mandos/server/client"
)

// Options holds what the command line says.
type Options struct {
	given map[string]*flagValue

	// Judge, if set, looks at every client. What it remarks becomes a warning
	// at the place of the setting, unless that could not be read.
	Judge func(client.Settings) []Remark
	// Trust, if set, has everybody else who may write what the server reads
	// warned of.
	Trust *Trust
}

// Remark is what there is to say about the setting of that key.
type Remark struct {
	Key, Problem string
	// Unfit says that no client could do anything with it: a new one is refused.
	Unfit bool
}

// AddFlags registers every option on fs, which is to parse what [Arrange] has
// arranged. --help and --version are left to whoever has fs.
func AddFlags(fs *pflag.FlagSet) *Options {
	o := &Options{given: map[string]*flagValue{}}
	for i := range options {
		value := &flagValue{option: &options[i], text: options[i].byDefault}
		if value.option.isSwitch() {
			value.text = "false"
		}
		o.given[value.option.flag] = value
		flag := fs.VarPF(value, value.option.flag, value.option.short, value.option.help)
		if value.option.isSwitch() {
			flag.NoOptDefVal = "true"
		}
	}
	return o
}

// flagValue is one option on the command line; it implements pflag.Value.
type flagValue struct {
	option *option
	text   string
	set    bool
}

// Set checks the value at once, so that a bad one is a usage error.
func (v *flagValue) Set(text string) error {
	if err := v.store(new(Daemon), text); err != nil {
		return err
	}
	if v.option.isSwitch() {
		on, err := notation.ParseBool(text)
		if err != nil {
			return err
		}
		text = strconv.FormatBool(on)
	}
	v.text, v.set = text, true
	return nil
}

func (v *flagValue) store(d *Daemon, text string) error {
	if v.option.negates {
		on, err := notation.ParseBool(text)
		if err != nil {
			return err
		}
		text = strconv.FormatBool(!on)
	}
	return v.option.store(d, text)
}

func (v *flagValue) String() string { return v.text }

// Type makes pflag show a switch without a value.
func (v *flagValue) Type() string {
	if v.option.isSwitch() {
		return "bool"
	}
	return "string"
}
