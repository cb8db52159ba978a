// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package template

import (
	"regexp/syntax"
	"strings"
)

// example returns a short text that a pattern matches, or one that it nearly
// matches where the pattern looks around.
func example(pattern string) string {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var out strings.Builder
	exemplify(parsed, &out)
	return out.String()
}

func exemplify(node *syntax.Regexp, out *strings.Builder) {
	switch node.Op {
	case syntax.OpLiteral:
		out.WriteString(string(node.Rune))
	case syntax.OpCharClass:
		out.WriteRune(member(node.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus:
		exemplify(node.Sub[0], out)
	case syntax.OpAlternate:
		exemplify(node.Sub[0], out)
	case syntax.OpConcat:
		for _, sub := range node.Sub {
			exemplify(sub, out)
		}
	case syntax.OpRepeat:
		for range node.Min {
			exemplify(node.Sub[0], out)
		}
	}
}

// member is a rune of a class, which consists of pairs of first and last: a
// digit or a letter where there is one.
func member(class []rune) rune {
	for _, wanted := range "1ab" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= wanted && wanted <= class[i+1] {
				return wanted
			}
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		if class[i+1] > ' ' {
			return max(class[i], '!')
		}
	}
	return ' '
}
