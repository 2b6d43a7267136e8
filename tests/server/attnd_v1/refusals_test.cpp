// What the service refuses with INVALID_ARGUMENT, with the text that the caller gets.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

using Change = std::function<void(v1::AttendRequest&)>;

struct Refusal {
  Change change;
  std::string text;
};

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

// Where the change is in one place of the problem.
Change Query(const std::function<void(v1::TensorDescription&)>& change) {
  return [change](v1::AttendRequest& r) { change(*r.mutable_problem()->mutable_query()); };
}
Change Key(const std::function<void(v1::TensorDescription&)>& change) {
  return [change](v1::AttendRequest& r) { change(*r.mutable_problem()->mutable_tensors()->mutable_key()); };
}
Change Value(const std::function<void(v1::TensorDescription&)>& change) {
  return [change](v1::AttendRequest& r) { change(*r.mutable_problem()->mutable_tensors()->mutable_value()); };
}
Change Mask(const std::function<void(v1::Mask&)>& change) {
  return [change](v1::AttendRequest& r) { change(*r.mutable_problem()->mutable_mask()); };
}
Change MaskTensor(const std::function<void(v1::TensorDescription&)>& change) {
  return Mask([change](v1::Mask& m) { change(*m.mutable_boolean()->mutable_tensor()); });
}
Change Problem(const std::function<void(v1::AttentionProblem&)>& change) {
  return [change](v1::AttendRequest& r) { change(*r.mutable_problem()); };
}

std::function<void(v1::TensorDescription&)> Shape(std::vector<std::int64_t> shape) {
  return
      [shape = std::move(shape)](v1::TensorDescription& t) { t.mutable_shape()->Assign(shape.begin(), shape.end()); };
}
std::function<void(v1::TensorDescription&)> Type(int type) {
  return [type](v1::TensorDescription& t) { t.set_element_type(static_cast<v1::ElementType>(type)); };
}

// A field 99 that holds the number 1, in the message: what a client of a later interface could send.
void AddUnknownField(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(99, 1);
}

void ExpectRefused(const std::vector<Refusal>& refusals) {
  RunningServer server;
  const v1::AttendRequest good = ToRequest(CaseWithEverything());
  Attend(server.stub(), good);
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.text);
    v1::AttendRequest request = good;
    refusal.change(request);
    grpc::ClientContext context;
    v1::AttendResponse response;
    const grpc::Status status = server.stub().Attend(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), refusal.text);
  }
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_in_flight_bytes"), 0);
}

// The case: query [2, 5, 4, 8], key [2, 7, 2, 8], value [2, 7, 2, 6] with LAYOUT_BSHD, and a mask of [5, 7].

TEST(Refusals, Ranks) {
  ExpectRefused({
      {Query(Shape({5, 4, 8})), "problem.query.shape: rank 3 found, 4 expected with LAYOUT_BSHD"},
      {[](v1::AttendRequest& r) {
         r.mutable_problem()->clear_layout();
         Query(Shape({}))(r);
       },
       "problem.query.shape: rank 0 found, 2, 3 or 4 expected"},
      {[](v1::AttendRequest& r) {
         r.mutable_problem()->set_layout(v1::LAYOUT_BHSD);
         Query(Shape({1, 2, 5, 4, 8}))(r);
       },
       "problem.query.shape: rank 5 found, 2, 3 or 4 expected"},
      {Key(Shape({7, 2, 8})), "problem.tensors.key.shape: rank 3 found, the query's 4 expected"},
      {Value(Shape({7, 6})), "problem.tensors.value.shape: rank 2 found, the query's 4 expected"},
      {MaskTensor(Shape({1, 1, 1, 5, 7})),
       "problem.mask.boolean.tensor.shape: rank 5 found, at most 4, that of the weights [2, 4, 5, 7], expected"},
  });
}

TEST(Refusals, ElementTypes) {
  ExpectRefused({
      {Query(Type(v1::ELEMENT_TYPE_INT32)),
       "problem.query.element_type: int32 found, float32, bfloat16 or float16 expected"},
      {Query(Type(v1::ELEMENT_TYPE_BOOL)),
       "problem.query.element_type: bool found, float32, bfloat16 or float16 expected"},
      {Query(Type(0)), "problem.query.element_type: not given, an ElementType expected"},
      {Key(Type(v1::ELEMENT_TYPE_BFLOAT16)),
       "problem.tensors.key.element_type: bfloat16 found, the query's float32 expected"},
      {Value(Type(v1::ELEMENT_TYPE_FLOAT16)),
       "problem.tensors.value.element_type: float16 found, the query's float32 expected"},
      {MaskTensor(Type(v1::ELEMENT_TYPE_FLOAT32)),
       "problem.mask.boolean.tensor.element_type: float32 found, bool expected"},
  });
}

TEST(Refusals, Sizes) {
  ExpectRefused({
      {Query(Shape({2, 0, 4, 8})),
       "problem.query.shape: dimension 1 is 0, expected at least 1; the shape is [2, 0, 4, 8]"},
      {Key(Shape({-1, 7, 2, 8})),
       "problem.tensors.key.shape: dimension 0 is -1, expected at least 1; the shape is [-1, 7, 2, 8]"},
      {Value(Shape({2, 7, 2, std::numeric_limits<std::int64_t>::min()})),
       "problem.tensors.value.shape: dimension 3 is -9223372036854775808, expected at least 1; the shape is "
       "[2, 7, 2, -9223372036854775808]"},
      {Query(Shape({kHuge, kHuge, kHuge, 8})),
       "problem.query.shape: [1099511627776, 1099511627776, 1099511627776, 8] takes more bytes than fit in 63 bits"},
      {Key(Shape({2, std::numeric_limits<std::int64_t>::max(), 2, 8})),
       "problem.tensors.key.shape: [2, 9223372036854775807, 2, 8] takes more bytes than fit in 63 bits"},
      {Value(Shape({1, std::int64_t{1} << 61, 1, 1})),
       "problem.tensors.value.shape: [1, 2305843009213693952, 1, 1] takes more bytes than fit in 63 bits"},
      {MaskTensor(Shape({kHuge, kHuge})),
       "problem.mask.boolean.tensor.shape: [1099511627776, 1099511627776] takes more bytes than fit in 63 bits"},
      // Absurd, and yet its product fits: nothing of that size is allocated.
      {Query(Shape({1 << 20, 1 << 20, 1, 8})),
       "query_data: 1280 bytes found, 35184372088832 expected for problem.query of float32 [1048576, 1048576, 1, 8]"},
  });
}

TEST(Refusals, DimensionsThatDoNotAgree) {
  const auto with_data = [](const Change& change, std::size_t key_elements, std::size_t value_elements) {
    return [=](v1::AttendRequest& r) {
      change(r);
      r.set_key_data(std::string(key_elements * sizeof(float), '\0'));
      r.set_value_data(std::string(value_elements * sizeof(float), '\0'));
    };
  };
  ExpectRefused({
      {with_data(Key(Shape({2, 7, 2, 9})), 252, 168),
       "problem.tensors.key.shape: head size 9 found, the query's 8 expected"},
      {with_data(Key(Shape({1, 7, 2, 8})), 112, 168),
       "problem.tensors.key.shape: batch 1 found, the query's 2 expected"},
      {with_data(Value(Shape({3, 7, 2, 6})), 224, 252),
       "problem.tensors.value.shape: batch 3 found, the query's 2 expected"},
      {with_data(Key(Shape({2, 7, 3, 8})), 336, 168),
       "problem.tensors.key.shape: 3 heads found, a divisor of the query's 4 expected"},
      {with_data(Value(Shape({2, 7, 1, 6})), 224, 84),
       "problem.tensors.value.shape: 1 heads found, the key's 2 expected"},
      {with_data(Value(Shape({2, 6, 2, 6})), 224, 144),
       "problem.tensors.value.shape: 6 rows found, the key's 7 expected"},
      {with_data(Value(Shape({2, 7, 2, 1025})), 224, 28700),
       "problem.tensors.value.shape: head size 1025 found, at most 1024 expected"},
      {[](v1::AttendRequest& r) {
         Query(Shape({2, 5, 4, 1025}))(r);
         r.set_query_data(std::string(41000 * sizeof(float), '\0'));
       },
       "problem.query.shape: head size 1025 found, at most 1024 expected"},
  });
}

TEST(Refusals, Bytes) {
  ExpectRefused({
      {[](v1::AttendRequest& r) { r.mutable_query_data()->pop_back(); },
       "query_data: 1279 bytes found, 1280 expected for problem.query of float32 [2, 5, 4, 8]"},
      {[](v1::AttendRequest& r) { r.mutable_key_data()->push_back('x'); },
       "key_data: 897 bytes found, 896 expected for problem.tensors.key of float32 [2, 7, 2, 8]"},
      {[](v1::AttendRequest& r) { r.clear_value_data(); },
       "value_data: 0 bytes found, 672 expected for problem.tensors.value of float32 [2, 7, 2, 6]"},
      {[](v1::AttendRequest& r) { r.clear_mask_data(); },
       "mask_data: 0 bytes found, 35 expected for problem.mask.boolean.tensor of bool [5, 7]"},
      {Mask([](v1::Mask& m) { m.clear_boolean(); }),
       "mask_data: 35 bytes found, none expected without problem.mask.boolean"},
  });
}

TEST(Refusals, MasksAndScale) {
  ExpectRefused({
      {Mask([](v1::Mask& m) { m.mutable_causal()->clear_alignment(); }),
       "problem.mask.causal.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since 5 query "
       "rows and 7 keys differ"},
      {Mask([](v1::Mask& m) {
         m.mutable_causal()->clear_alignment();
         m.mutable_causal()->add_offsets(-1);
       }),
       "problem.mask.causal.offsets: 1 offsets found, one for each of 2 batch entries expected"},
      {Mask([](v1::Mask& m) {
         m.mutable_causal()->add_offsets(0);
         m.mutable_causal()->add_offsets(1);
       }),
       "problem.mask.causal.alignment: given beside offsets, one of the two expected"},
      {Mask([](v1::Mask& m) { m.mutable_key_lengths()->add_lengths(7); }),
       "problem.mask.key_lengths.lengths: 3 lengths found, one for each of 2 batch entries expected"},
      {Mask([](v1::Mask& m) { m.mutable_key_lengths()->clear_lengths(); }),
       "problem.mask.key_lengths.lengths: 0 lengths found, one for each of 2 batch entries expected"},
      {Mask([](v1::Mask& m) { m.mutable_key_lengths()->set_lengths(1, -1); }),
       "problem.mask.key_lengths.lengths[1]: -1 found, 0 to 7 (the number of keys) expected"},
      {Mask([](v1::Mask& m) { m.mutable_key_lengths()->set_lengths(0, 8); }),
       "problem.mask.key_lengths.lengths[0]: 8 found, 0 to 7 (the number of keys) expected"},
      {MaskTensor(Shape({7, 5})),
       "problem.mask.boolean.tensor.shape: [7, 5] found, which does not broadcast to the weights' [2, 4, 5, 7]: "
       "dimension 0 is 7, 1 or 5 expected"},
      {Problem([](v1::AttentionProblem& p) { p.set_scale(std::numeric_limits<double>::quiet_NaN()); }),
       "problem.scale: nan found, a finite number of at most 1e+38 in magnitude expected"},
      {Problem([](v1::AttentionProblem& p) { p.set_scale(-std::numeric_limits<double>::infinity()); }),
       "problem.scale: -inf found, a finite number of at most 1e+38 in magnitude expected"},
      {Problem([](v1::AttentionProblem& p) { p.set_scale(1e39); }),
       "problem.scale: 1e+39 found, a finite number of at most 1e+38 in magnitude expected"},
  });
}

TEST(Refusals, WhatIsNotGiven) {
  ExpectRefused({
      {[](v1::AttendRequest& r) { r.Clear(); }, "problem: not given, an AttentionProblem expected"},
      {Problem([](v1::AttentionProblem& p) { p.clear_query(); }),
       "problem.query: not given, a TensorDescription expected"},
      {Problem([](v1::AttentionProblem& p) { p.clear_tensors(); }),
       "problem.key_value_source: not given, one of its members, problem.tensors, expected"},
      {Problem([](v1::AttentionProblem& p) { p.mutable_tensors()->clear_key(); }),
       "problem.tensors.key: not given, a TensorDescription expected"},
      {Problem([](v1::AttentionProblem& p) { p.mutable_tensors()->clear_value(); }),
       "problem.tensors.value: not given, a TensorDescription expected"},
      {Mask([](v1::Mask& m) { m.mutable_boolean()->clear_tensor(); }),
       "problem.mask.boolean.tensor: not given, a TensorDescription expected"},
  });
}

TEST(Refusals, UnknownFieldsAtEveryLevel) {
  const auto refusal = [](const Change& change, const std::string& path, const std::string& type) {
    return Refusal{change, path + ": field 99 of attnd.v1." + type + " found, which this server does not know"};
  };
  ExpectRefused({
      refusal([](v1::AttendRequest& r) { AddUnknownField(r); }, "request", "AttendRequest"),
      refusal(Problem([](auto& p) { AddUnknownField(p); }), "problem", "AttentionProblem"),
      refusal(Query([](auto& t) { AddUnknownField(t); }), "problem.query", "TensorDescription"),
      refusal(Problem([](auto& p) { AddUnknownField(*p.mutable_tensors()); }), "problem.tensors", "KeyValueTensors"),
      refusal(Key([](auto& t) { AddUnknownField(t); }), "problem.tensors.key", "TensorDescription"),
      refusal(Value([](auto& t) { AddUnknownField(t); }), "problem.tensors.value", "TensorDescription"),
      refusal(Mask([](auto& m) { AddUnknownField(m); }), "problem.mask", "Mask"),
      refusal(Mask([](auto& m) { AddUnknownField(*m.mutable_causal()); }), "problem.mask.causal", "CausalMask"),
      refusal(Mask([](auto& m) { AddUnknownField(*m.mutable_key_lengths()); }), "problem.mask.key_lengths",
              "KeyLengths"),
      refusal(Mask([](auto& m) { AddUnknownField(*m.mutable_boolean()); }), "problem.mask.boolean", "BooleanMask"),
      refusal(MaskTensor([](auto& t) { AddUnknownField(t); }), "problem.mask.boolean.tensor", "TensorDescription"),
  });
}

TEST(Refusals, UnknownEnumerationValues) {
  const auto refusal = [](const Change& change, const std::string& found, const std::string& type) {
    return Refusal{change,
                   found + " found, which this server does not know; a value of attnd.v1." + type + " expected"};
  };
  ExpectRefused({
      refusal(Query(Type(4)), "problem.query.element_type: value 4", "ElementType"),
      refusal(Key(Type(18)), "problem.tensors.key.element_type: value 18", "ElementType"),
      refusal(Value(Type(-1)), "problem.tensors.value.element_type: value -1", "ElementType"),
      refusal(MaskTensor(Type(5)), "problem.mask.boolean.tensor.element_type: value 5", "ElementType"),
      refusal(Problem([](auto& p) { p.set_layout(static_cast<v1::Layout>(3)); }), "problem.layout: value 3", "Layout"),
      refusal(Problem([](auto& p) { p.set_empty_row(static_cast<v1::EmptyRow>(3)); }), "problem.empty_row: value 3",
              "EmptyRow"),
      refusal(Mask([](auto& m) { m.mutable_causal()->set_alignment(static_cast<v1::CausalMask::Alignment>(3)); }),
              "problem.mask.causal.alignment: value 3", "CausalMask.Alignment"),
  });
}

TEST(Refusals, WhatIsNoAttendRequest) {
  RunningServer server;
  const RawAnswer cut = CallRaw(server.channel(), kAttendMethod,
                                "\x0a\x05"
                                "ab");
  EXPECT_EQ(cut.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(
      cut.status.error_message(),
      "request: not a valid AttendRequest: a length of field 1 that goes past the end of the message found before "
      "byte 2");
  const RawAnswer wrong_problem = CallRaw(server.channel(), kAttendMethod, "\x0a\x02\x0a\x05");
  EXPECT_EQ(wrong_problem.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(wrong_problem.status.error_message(), "request: not a valid AttendRequest: protobuf's parser refused it");
}

}  // namespace
}  // namespace attnd::test
