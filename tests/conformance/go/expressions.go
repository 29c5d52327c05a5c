package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/cel"
	"github.com/siderolabs/talos/pkg/machinery/cel/celenv"
)

// compile is how an expression is compiled where it stands.
var compile = map[string]func(string) (cel.Expression, error){
	"disk": func(text string) (cel.Expression, error) {
		return cel.ParseBooleanExpression(text, celenv.DiskLocator())
	},
	"volume": func(text string) (cel.Expression, error) {
		return cel.ParseBooleanExpression(text, celenv.VolumeLocator())
	},
	"link": func(text string) (cel.Expression, error) {
		return cel.ParseBooleanExpression(text, celenv.LinkLocator())
	},
	"oom": func(text string) (cel.Expression, error) {
		return cel.ParseBooleanExpression(text, celenv.OOMTrigger())
	},
	"score": func(text string) (cel.Expression, error) {
		return cel.ParseDoubleExpression(text, celenv.OOMCgroupScoring())
	},
}

// expressions says "+" of each row that compiles and "-" of each that doesn't.
func expressions(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}

	for row := range strings.Lines(string(text)) {
		row = strings.TrimSuffix(row, "\n")
		environment, expression, _ := strings.Cut(row, " ")

		parse, known := compile[environment]
		if !known {
			return fmt.Errorf("no environment %q", environment)
		}

		if _, err := parse(strings.ReplaceAll(expression, "⏎", "\n")); err != nil {
			fmt.Println("-", row)
		} else {
			fmt.Println("+", row)
		}
	}

	return nil
}
