package projection

import (
	"strings"

	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
)

// Rows keep enumerations as lower-case text without the enumeration's name: SIDE_BUY is "buy". Unspecified is "".
var (
	sides             = enumTexts(eventv1.Side_name, "SIDE_")
	positionSides     = enumTexts(eventv1.PositionSide_name, "POSITION_SIDE_")
	orderTypes        = enumTexts(eventv1.OrderType_name, "ORDER_TYPE_")
	timesInForce      = enumTexts(eventv1.TimeInForce_name, "TIME_IN_FORCE_")
	reduceIntents     = enumTexts(eventv1.ReduceIntent_name, "REDUCE_INTENT_")
	intentTypes       = enumTexts(eventv1.IntentType_name, "INTENT_TYPE_")
	products          = enumTexts(eventv1.Product_name, "PRODUCT_")
	environments      = enumTexts(eventv1.Environment_name, "ENVIRONMENT_")
	sources           = enumTexts(eventv1.Source_name, "SOURCE_")
	sampleSources     = enumTexts(eventv1.SampleSource_name, "SAMPLE_SOURCE_")
	trailingModes     = enumTexts(eventv1.TrailingMode_name, "TRAILING_MODE_")
	exitReasons       = enumTexts(eventv1.ExitReason_name, "EXIT_REASON_")
	quantityLimits    = enumTexts(eventv1.QuantityLimit_name, "QUANTITY_LIMIT_")
	rejectStages      = enumTexts(eventv1.RejectStage_name, "REJECT_STAGE_")
	cancelers         = enumTexts(eventv1.CanceledBy_name, "CANCELED_BY_")
	signalRejections  = enumTexts(eventv1.SignalRejection_name, "SIGNAL_REJECTION_")
	disarmReasons     = enumTexts(eventv1.DisarmReason_name, "DISARM_REASON_")
	limitNames        = enumTexts(eventv1.LimitName_name, "LIMIT_NAME_")
	discrepancyKinds  = enumTexts(eventv1.DiscrepancyKind_name, "DISCREPANCY_KIND_")
	severities        = enumTexts(eventv1.Severity_name, "SEVERITY_")
	resolutions       = enumTexts(eventv1.Resolution_name, "RESOLUTION_")
	channels          = enumTexts(eventv1.Channel_name, "CHANNEL_")
	marginStatuses    = enumTexts(eventv1.MarginStatus_name, "MARGIN_STATUS_")
	runTriggers       = enumTexts(eventv1.ReconciliationTrigger_name, "RECONCILIATION_TRIGGER_")
	runStatuses       = enumTexts(eventv1.ReconciliationStatus_name, "RECONCILIATION_STATUS_")
	snapshotScopes    = enumTexts(eventv1.SnapshotScope_name, "SNAPSHOT_SCOPE_")
	rebuildScopes     = enumTexts(eventv1.RebuildScope_name, "REBUILD_SCOPE_")
	positionSideLong  = enumText(positionSides, eventv1.PositionSide_POSITION_SIDE_LONG)
	positionSideShort = enumText(positionSides, eventv1.PositionSide_POSITION_SIDE_SHORT)
	sideBuy           = enumText(sides, eventv1.Side_SIDE_BUY)
	sideSell          = enumText(sides, eventv1.Side_SIDE_SELL)
)

// enumTexts makes the texts of an enumeration, unspecified first.
func enumTexts(names map[int32]string, prefix string) []string {
	texts := make([]string, len(names))
	for number, name := range names {
		if number > 0 && int(number) < len(texts) {
			texts[number] = strings.ToLower(strings.TrimPrefix(name, prefix))
		}
	}
	return texts
}

// enumText is the text of an enumeration's value, "" for one that this program does not know.
func enumText[E ~int32](texts []string, value E) string {
	if value < 0 || int(value) >= len(texts) {
		return ""
	}
	return texts[value]
}
