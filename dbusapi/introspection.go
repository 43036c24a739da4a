// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"embed"
	"encoding/xml"
	"fmt"
	"strings"
)

//go:embed *.xml
var interfaceFiles embed.FS

const introspectionHead = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
`

// Property is the description of one.
type Property struct {
	Name   string `xml:"name,attr"`
	Type   string `xml:"type,attr"`
	Access string `xml:"access,attr"`
}

// Introspection is the introspection data of an object that has those
// interfaces, each of which must be one of this package's, and those child nodes.
// [ClientInterface1] has settings besides what its file describes.
func Introspection(interfaces, children []string, settings []Property) string {
	var b strings.Builder
	b.WriteString(introspectionHead)
	for _, name := range interfaces {
		text := interfaceXML(name)
		if name == ClientInterface1 {
			text = withProperties(text, settings)
		}
		b.WriteString(text)
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

// withProperties adds properties to the description of an interface.
func withProperties(text string, properties []Property) string {
	const end = "  </interface>\n"
	var b strings.Builder
	for _, p := range properties {
		fmt.Fprintf(&b, "    <property name=%q type=%q access=%q/>\n", p.Name, p.Type, p.Access)
	}
	return strings.Replace(text, end, b.String()+end, 1)
}

// described are the properties that the interface's file has.
func described(name string) []Property {
	var described struct {
		Properties []Property `xml:"property"`
	}
	if err := xml.Unmarshal([]byte(interfaceXML(name)), &described); err != nil {
		panic(fmt.Sprintf("dbusapi: %s is not described well: %v", name, err))
	}
	return described.Properties
}
