// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.xml
var interfaceFiles embed.FS

const introspectionHead = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
`

// Introspection is the introspection data of an object that has those
// interfaces, each of which must be one of this package's, and those child nodes.
func Introspection(interfaces, children []string) string {
	var b strings.Builder
	b.WriteString(introspectionHead)
	for _, name := range interfaces {
		b.WriteString(interfaceXML(name))
	}
	for _, child := range children {
		fmt.Fprintf(&b, "  <node name=%q/>\n", child)
	}
	b.WriteString("</node>\n")
	return b.String()
}

// interfaceXML is what the interface's file has inside its node element.
func interfaceXML(name string) string {
	file, err := interfaceFiles.ReadFile(name + ".xml")
	if err != nil {
		panic(fmt.Sprintf("dbusapi: interface %s is not described: %v", name, err))
	}
	_, inside, _ := strings.Cut(string(file), "<node>\n")
	inside, _, _ = strings.Cut(inside, "</node>")
	return inside
}
