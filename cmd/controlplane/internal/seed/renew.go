package seed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// protobufMagic begins a stored object in protobuf.
var protobufMagic = []byte("k8s\x00")

// metadataField is the number of ObjectMeta in every object of Kubernetes.
const metadataField = 1

// renew returns a stored object with a new UID, as old as now.
func renew(value []byte, now time.Time) ([]byte, error) {
	if bytes.HasPrefix(value, protobufMagic) {
		return renewProtobuf(value, now)
	}
	return renewJSON(value, now)
}

// renewProtobuf exchanges the metadata and leaves every other byte alone, so
// that no type need be known here.
func renewProtobuf(value []byte, now time.Time) ([]byte, error) {
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(value[len(protobufMagic):]); err != nil {
		return nil, err
	}
	number, kind, tag := protowire.ConsumeTag(envelope.Raw)
	if tag < 0 || number != metadataField || kind != protowire.BytesType {
		return nil, errors.New("the object does not begin with its metadata")
	}
	raw, length := protowire.ConsumeBytes(envelope.Raw[tag:])
	if length < 0 {
		return nil, fmt.Errorf("metadata: %w", protowire.ParseError(length))
	}
	var meta metav1.ObjectMeta
	if err := meta.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	rejuvenate(&meta, now)
	raw, err := meta.Marshal()
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	object := protowire.AppendTag(nil, metadataField, protowire.BytesType)
	object = protowire.AppendBytes(object, raw)
	envelope.Raw = append(object, envelope.Raw[tag+length:]...)
	body, err := envelope.Marshal()
	if err != nil {
		return nil, err
	}
	return append(bytes.Clone(protobufMagic), body...), nil
}

func renewJSON(value []byte, now time.Time) ([]byte, error) {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(value, &object.Object); err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{ManagedFields: object.GetManagedFields()}
	rejuvenate(&meta, now)
	object.SetUID(meta.UID)
	object.SetCreationTimestamp(meta.CreationTimestamp)
	object.SetManagedFields(meta.ManagedFields)
	return json.Marshal(object.Object)
}

func rejuvenate(meta *metav1.ObjectMeta, now time.Time) {
	// Stored times have whole seconds.
	created := metav1.NewTime(now.Truncate(time.Second))
	meta.UID = uuid.NewUUID()
	meta.CreationTimestamp = created
	for i := range meta.ManagedFields {
		meta.ManagedFields[i].Time = &created
	}
}
