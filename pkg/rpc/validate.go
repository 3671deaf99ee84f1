package rpc

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/robson/robson/pkg/fault"
)

// The patterns of the contracts, and how to say them to a person. A test holds that every pattern in the contracts is here.
var patternTexts = map[string]string{
	`^-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,18}0{0,18})?$`:                        `must be a decimal such as "0.06666" or "-1.5": at most 20 digits before the point and 18 after, no exponent`,
	`^(0|[1-9][0-9]{0,19})(\.[0-9]{1,18}0{0,18})?$`:                          `must be a decimal not below zero, such as "0.06666": at most 20 digits before the point and 18 after, no exponent`,
	`^(0\.[0-9]{0,17}[1-9]0{0,18}|[1-9][0-9]{0,19}(\.[0-9]{1,18}0{0,18})?)$`: `must be a decimal above zero, such as "0.06666": at most 20 digits before the point and 18 after, no exponent`,
	`^[A-Z0-9]{2,20}$`:                 `must be a venue's symbol such as "BTCUSDT": 2 to 20 capital letters and digits`,
	`^[A-Z0-9]{1,20}$`:                 `must be an asset such as "USDT": 1 to 20 capital letters and digits`,
	`^[a-zA-Z0-9-_]{1,36}$`:            `must be a client order id: 1 to 36 letters, digits, "-" and "_"`,
	`^(spot|isolated:[A-Z0-9]{2,20})$`: `must be a wallet: "spot" or "isolated:BTCUSDT"`,
	`^(tenant|account|strategy|position|order):[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`: `must be a stream key: tenant, account, strategy, position or order, a colon, and a UUID in lower case`,
	`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`:   `must be an event id: a ULID of 26 characters in upper case`,
	`^[A-Z][A-Z_]{2,63}$`:             `must be an event type such as ORDER_SUBMITTED`,
	`^[0-9a-f]{64}$`:                  `must be a hash: 64 hexadecimal digits in lower case`,
	`^[a-z_]{1,63}$`:                  `must be a table's name`,
	`^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$`: `must be a day such as 2026-11-23 or a month such as 2026-11`,
}

// validate holds a message to its contract's rules.
func validate(validator protovalidate.Validator, m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return fault.Bug("validate %T, which is no message", m)
	}
	err := validator.Validate(message)
	if err == nil {
		return nil
	}
	var violations *protovalidate.ValidationError
	if !errors.As(err, &violations) {
		return fmt.Errorf("validate %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	e := fault.New(fault.Invalid, "INVALID_REQUEST", "the request does not meet its contract")
	for i, v := range violations.Violations {
		path, description := protovalidate.FieldPathString(v.Proto.GetField()), describe(v)
		e.Fields = append(e.Fields, fault.Field{Path: path, Description: description})
		if i == 0 {
			e.Message = path + ": " + description
		}
	}
	if more := len(e.Fields) - 1; more > 0 {
		e.Message += fmt.Sprintf(" (and %d more)", more)
	}
	return e
}

// describe says what a field must be.
func describe(v *protovalidate.Violation) string {
	if v.Proto.GetRuleId() == "string.pattern" || v.Proto.GetRuleId() == "string.pattern_empty" {
		if text, known := patternTexts[v.RuleValue.String()]; known {
			return text
		}
	}
	switch v.Proto.GetRuleId() {
	case "string.uuid", "string.uuid_empty":
		return `must be a UUID such as "0f8fad5b-d9cb-469f-a165-70867728950e"`
	case "required":
		return "must be given"
	}
	return v.Proto.GetMessage()
}

// HasPatternText says whether a contract's pattern can be said to a person.
func HasPatternText(pattern string) bool {
	_, known := patternTexts[pattern]
	return known
}
