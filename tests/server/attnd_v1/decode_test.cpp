#include "server/attnd_v1/decode.h"

#include <attnd/v1/attention.pb.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/server/attnd_v1/wire.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

using testing::HasSubstr;

v1::AttendRequest Everything() { return ToRequest(CaseWithEverything()); }

std::string Understood(const absl::StatusOr<Decoded>& decoded) {
  return decoded.ok() ? ToString(*decoded) : decoded.status().ToString();
}

// The request's top-level fields, each as a message of its own.
std::vector<std::string> FieldsOf(const v1::AttendRequest& request) {
  std::vector<std::string> fields;
  std::vector<const google::protobuf::FieldDescriptor*> present;
  request.GetReflection()->ListFields(request, &present);
  for (const google::protobuf::FieldDescriptor* field : present) {
    v1::AttendRequest alone = request;
    for (const google::protobuf::FieldDescriptor* other : present) {
      if (other != field) alone.GetReflection()->ClearField(&alone, other);
    }
    fields.push_back(alone.SerializeAsString());
  }
  return fields;
}

void ExpectRefused(const std::string& message, const std::string& text) {
  for (const std::size_t piece_bytes : {std::size_t{1}, message.size() + 1}) {
    const absl::StatusOr<Decoded> decoded = Decode(CutEvery(message, piece_bytes));
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(decoded.status().message(), HasSubstr(text));
  }
  EXPECT_FALSE(DecodeByReference(message).ok());
}

// What the scan relies on: it takes no other wire type.
TEST(Scan, EveryFieldOfARequestIsAMessageOrBytes) {
  const google::protobuf::Descriptor& type = *v1::AttendRequest::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    EXPECT_TRUE(type.field(i)->type() == google::protobuf::FieldDescriptor::TYPE_MESSAGE ||
                type.field(i)->type() == google::protobuf::FieldDescriptor::TYPE_BYTES)
        << type.field(i)->full_name();
    EXPECT_FALSE(type.field(i)->is_repeated()) << type.field(i)->full_name();
  }
}

TEST(Decode, TakesEveryOrderOfFieldsAndEveryCut) {
  const v1::AttendRequest request = Everything();
  std::vector<std::string> fields = FieldsOf(request);
  ASSERT_EQ(fields.size(), 5u);
  const std::string expected = Understood(DecodeByReference(request.SerializeAsString()));
  std::sort(fields.begin(), fields.end());
  int orders = 0;
  do {
    std::string message;
    for (const std::string& field : fields) message += field;
    for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{7}, std::size_t{64}, message.size()}) {
      ASSERT_EQ(Understood(Decode(CutEvery(message, piece_bytes))), expected);
    }
    ++orders;
  } while (std::next_permutation(fields.begin(), fields.end()));
  EXPECT_EQ(orders, 120);
}

TEST(Decode, UnderstandsWhatWasWritten) {
  const AttentionCase attention = CaseWithEverything();
  const v1::AttendRequest request = ToRequest(attention);
  const absl::StatusOr<Decoded> decoded = Decode(CutEvery(request.SerializeAsString(), 100));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->elements[core::Input::kQuery], request.query_data());
  EXPECT_EQ(decoded->elements[core::Input::kKey], request.key_data());
  EXPECT_EQ(decoded->elements[core::Input::kValue], request.value_data());
  EXPECT_EQ(decoded->elements[core::Input::kMask], request.mask_data());
  const core::ProblemDescription& description = decoded->description;
  EXPECT_EQ(description.query.shape, (core::Shape{2, 5, 4, 8}));
  EXPECT_EQ(description.key.shape, (core::Shape{2, 7, 2, 8}));
  EXPECT_EQ(description.value.shape, (core::Shape{2, 7, 2, 6}));
  EXPECT_EQ(description.layout, core::Layout::kBshd);
  EXPECT_EQ(description.scale, 0.25);
  ASSERT_TRUE(description.mask.causal.has_value());
  EXPECT_EQ(description.mask.causal->positions.alignment, core::Alignment::kBottomRight);
  EXPECT_EQ(description.mask.key_lengths, (std::vector<std::int64_t>{7, 4}));
  ASSERT_TRUE(description.mask.boolean.has_value());
  EXPECT_EQ(description.mask.boolean->shape, (core::Shape{5, 7}));
  EXPECT_EQ(description.empty_row, core::EmptyRow::kMeanOfAllValues);
  EXPECT_TRUE(description.return_weights);
  EXPECT_TRUE(description.return_log_sum_exp);
  EXPECT_EQ(description.size_bytes[core::Input::kQuery], 2 * 5 * 4 * 8 * 4);
  EXPECT_EQ(description.size_bytes[core::Input::kMask], 5 * 7);
}

TEST(Decode, TheLastOfAPayloadCountsAndProblemsMerge) {
  v1::AttendRequest first;
  first.set_query_data("thrown away");
  first.set_mask_data("thrown away too");
  first.mutable_problem()->set_return_weights(true);
  v1::AttendRequest second = Everything();
  second.mutable_problem()->set_return_weights(false);
  const std::string message = first.SerializeAsString() + second.SerializeAsString();
  const absl::StatusOr<Decoded> decoded = Decode(CutEvery(message, 5));
  EXPECT_EQ(Understood(decoded), Understood(DecodeByReference(message)));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->elements[core::Input::kQuery], second.query_data());
  EXPECT_TRUE(decoded->description.return_weights);
}

TEST(Decode, AnEmptyPayloadIsNone) {
  v1::AttendRequest request = Everything();
  request.mutable_problem()->mutable_mask()->clear_boolean();
  request.clear_mask_data();
  const std::string message = request.SerializeAsString() + std::string("\xda\x3e\x00", 3);  // mask_data = ""
  const absl::StatusOr<Decoded> decoded = Decode(CutEvery(message, 2));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->description.size_bytes[core::Input::kMask], 0);
  EXPECT_EQ(Understood(decoded), Understood(DecodeByReference(message)));
}

// A length may be written longer than it need be: some encoders leave room for it.
TEST(Decode, TakesPaddedLengths) {
  const std::string message = Everything().SerializeAsString() + std::string("\xc2\x3e\x81\x80\x80\x80\x00q", 8);
  const absl::StatusOr<Decoded> decoded = Decode(CutEvery(message, 3));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->elements[core::Input::kQuery], "q");
  EXPECT_EQ(Understood(decoded), Understood(DecodeByReference(message)));
}

TEST(Decode, RefusesMalformedMessages) {
  const std::string good = Everything().SerializeAsString();
  ExpectRefused(good + '\x80', "a field's number is not complete");
  ExpectRefused(good + "\x80\x80\x80\x80\x80\x01", "a field's number is not complete");
  ExpectRefused(good + std::string("\x02\x00", 2), "field number 0 found");
  ExpectRefused(good + std::string("\x00", 1), "field number 0 found");
  ExpectRefused(good + "\xc2\x3e\x05pay", "a length of field 1000 that goes past the end of the message");
  ExpectRefused(good + "\xc2\x3e\xff\xff\xff\xff\x0f", "a length of field 1000 that goes past the end of the message");
  ExpectRefused(good + "\xc2\x3e\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a length of field 1000");
  ExpectRefused(good + "\xc2\x3e", "a length of field 1000");
  ExpectRefused(good + std::string("\x0a\x02\x0a\x05", 4), "request: not a valid AttendRequest");
}

TEST(Decode, RefusesEveryPrefixThatProtobufRefuses) {
  const std::string message = Everything().SerializeAsString();
  int refused = 0;
  for (std::size_t size = 0; size < message.size(); ++size) {
    const std::string prefix = message.substr(0, size);
    const absl::StatusOr<Decoded> decoded = Decode(CutEvery(prefix, 11));
    const absl::StatusOr<Decoded> reference = DecodeByReference(prefix);
    ASSERT_EQ(decoded.ok(), reference.ok()) << "prefix of " << size << " bytes: " << decoded.status();
    if (!decoded.ok()) ++refused;
  }
  EXPECT_GT(refused, static_cast<int>(message.size()) / 2);
}

TEST(Decode, RefusesWrongWireTypesByName) {
  const std::string good = Everything().SerializeAsString();
  ExpectRefused(good + std::string("\xc0\x3e\x01", 3),
                "query_data: field 1000 of attnd.v1.AttendRequest found with another");
  ExpectRefused(good + std::string("\xc1\x3e\0\0\0\0\0\0\0\0", 10), "query_data: field 1000");
  ExpectRefused(good + std::string("\xc5\x3e\0\0\0\0", 6), "query_data: field 1000");
  ExpectRefused(good + "\xc3\x3e\xc4\x3e", "query_data: field 1000");  // a group
  ExpectRefused(good + "\x0c", "problem: field 1");                    // the end of a group that never began
  ExpectRefused(good + std::string("\x08\x01", 2), "problem: field 1 of attnd.v1.AttendRequest found with another");
  // problem.layout as bytes
  ExpectRefused(good + std::string("\x0a\x03\x1a\x01x", 5),
                "problem.layout: field 3 of attnd.v1.AttentionProblem found with another");
}

TEST(Decode, RefusesAnUnknownFieldAtEveryLevel) {
  const std::string unknown = "\x98\x06\x01";  // field 99 = 1
  const auto wrap = [](int field_number, const std::string& content) {
    return std::string{static_cast<char>(field_number << 3 | 2), static_cast<char>(content.size())} + content;
  };
  const std::string good = Everything().SerializeAsString();
  const auto expect = [&](const std::string& field, const std::string& text) {
    ExpectRefused(good + field, text + " found, which this server does not know");
  };
  expect(unknown, "request: field 99 of attnd.v1.AttendRequest");
  expect(wrap(1, unknown), "problem: field 99 of attnd.v1.AttentionProblem");
  expect(wrap(1, wrap(1, unknown)), "problem.query: field 99 of attnd.v1.TensorDescription");
  expect(wrap(1, wrap(2, unknown)), "problem.tensors: field 99 of attnd.v1.KeyValueTensors");
  expect(wrap(1, wrap(2, wrap(1, unknown))), "problem.tensors.key: field 99 of attnd.v1.TensorDescription");
  expect(wrap(1, wrap(2, wrap(2, unknown))), "problem.tensors.value: field 99 of attnd.v1.TensorDescription");
  expect(wrap(1, wrap(5, unknown)), "problem.mask: field 99 of attnd.v1.Mask");
  expect(wrap(1, wrap(5, wrap(1, unknown))), "problem.mask.causal: field 99 of attnd.v1.CausalMask");
  expect(wrap(1, wrap(5, wrap(2, unknown))), "problem.mask.key_lengths: field 99 of attnd.v1.KeyLengths");
  expect(wrap(1, wrap(5, wrap(3, unknown))), "problem.mask.boolean: field 99 of attnd.v1.BooleanMask");
  expect(wrap(1, wrap(5, wrap(3, wrap(1, unknown)))),
         "problem.mask.boolean.tensor: field 99 of attnd.v1.TensorDescription");
}

TEST(Decode, RefusesEveryUnknownEnumerationValue) {
  const auto expect = [](const auto& change, const std::string& text) {
    v1::AttendRequest request = Everything();
    change(*request.mutable_problem());
    ExpectRefused(request.SerializeAsString(), text);
  };
  const auto type = static_cast<v1::ElementType>(7);
  expect([&](v1::AttentionProblem& p) { p.mutable_query()->set_element_type(type); },
         "problem.query.element_type: value 7 found, which this server does not know; a value of attnd.v1.ElementType "
         "expected");
  expect([&](v1::AttentionProblem& p) { p.mutable_tensors()->mutable_key()->set_element_type(type); },
         "problem.tensors.key.element_type: value 7 found");
  expect([&](v1::AttentionProblem& p) { p.mutable_tensors()->mutable_value()->set_element_type(type); },
         "problem.tensors.value.element_type: value 7 found");
  expect(
      [&](v1::AttentionProblem& p) { p.mutable_mask()->mutable_boolean()->mutable_tensor()->set_element_type(type); },
      "problem.mask.boolean.tensor.element_type: value 7 found");
  expect([](v1::AttentionProblem& p) { p.set_layout(static_cast<v1::Layout>(3)); }, "problem.layout: value 3 found");
  expect([](v1::AttentionProblem& p) { p.set_empty_row(static_cast<v1::EmptyRow>(-1)); },
         "problem.empty_row: value -1 found");
  expect(
      [](v1::AttentionProblem& p) {
        p.mutable_mask()->mutable_causal()->set_alignment(static_cast<v1::CausalMask::Alignment>(3));
      },
      "problem.mask.causal.alignment: value 3 found");
}

TEST(Decode, RefusesWhatIsNotGiven) {
  const auto expect = [](const auto& change, const std::string& text) {
    v1::AttendRequest request = Everything();
    change(request);
    ExpectRefused(request.SerializeAsString(), text);
  };
  expect([](v1::AttendRequest& r) { r.clear_problem(); }, "problem: not given, an AttentionProblem expected");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->clear_query(); }, "problem.query: not given");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->mutable_query()->clear_element_type(); },
         "problem.query.element_type: not given");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->clear_tensors(); },
         "problem.key_value_source: not given, one of its members, problem.tensors, expected");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->mutable_tensors()->clear_key(); },
         "problem.tensors.key: not given");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->mutable_tensors()->clear_value(); },
         "problem.tensors.value: not given");
  expect([](v1::AttendRequest& r) { r.mutable_problem()->mutable_mask()->mutable_boolean()->clear_tensor(); },
         "problem.mask.boolean.tensor: not given");
  ExpectRefused("", "problem: not given");
}

TEST(Decode, RefusesAHeaderOverItsLimitBeforeParsingIt) {
  v1::AttendRequest request = Everything();
  // A length of 7 takes one byte.
  request.mutable_problem()->mutable_mask()->mutable_key_lengths()->mutable_lengths()->Resize(
      static_cast<int>(server::attnd_v1::kMaxHeaderBytes), 7);
  const absl::StatusOr<Decoded> decoded = Decode(CutEvery(request.SerializeAsString(), 8192));
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(decoded.status().message(), HasSubstr("more than 1048576 bytes found outside of the …_data fields"));
  request.mutable_problem()->mutable_mask()->mutable_key_lengths()->mutable_lengths()->Resize(
      static_cast<int>(server::attnd_v1::kMaxHeaderBytes) - 1000, 7);
  EXPECT_TRUE(Decode(CutEvery(request.SerializeAsString(), 8192)).ok());
}

}  // namespace
}  // namespace attnd::test
