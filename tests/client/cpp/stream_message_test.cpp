// The messages of a stream, held against protobuf's own.
#include "client/cpp/stream_message.h"

#include <absl/status/status.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/client/cpp/fake_server.h"
#include "tests/support/seed.h"

namespace attnd {
namespace {

using Content = StreamAnswerEnvelope::Content;

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  EXPECT_TRUE(buffer.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

v1::StreamAttendRequest Parsed(const grpc::ByteBuffer& buffer) {
  v1::StreamAttendRequest message;
  EXPECT_TRUE(message.ParseFromString(BytesOf(buffer)));
  return message;
}

// As gRPC delivers a message: in pieces of any size.
grpc::ByteBuffer InPieces(const std::string& bytes, std::size_t piece_bytes = 7) {
  std::vector<grpc::Slice> slices;
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece_bytes) {
    slices.emplace_back(bytes.substr(begin, piece_bytes));
  }
  return {slices.data(), slices.size()};
}

// 1, 2, 3, 4 as query, key and value.
DescribedRequest Described() { return *DescribeRequest(test::SmallRequest()); }

TEST(StreamMessage, AWholeRequestIsAsForAttend) {
  const auto message = Parsed(EncodeWhole(5, 1.5, Described()));
  EXPECT_EQ(message.id(), 5u);
  EXPECT_EQ(message.timeout_seconds(), 1.5);
  const auto alone = EncodeRequest(Described());
  ASSERT_TRUE(alone.ok());
  std::string bytes;
  for (const MessagePart& part : *alone) {
    bytes += part.owned;
    if (part.borrowed != nullptr) bytes.append(static_cast<const char*>(part.borrowed), part.borrowed_size_bytes);
  }
  EXPECT_EQ(message.request().SerializeAsString(), bytes);
}

TEST(StreamMessage, TheIdComesFirst) {
  const std::string id = std::string("\x08\x05", 2);
  for (const grpc::ByteBuffer& message : {EncodeWhole(5, 1.5, Described()), EncodeStart(5, 1.5, Described()),
                                          EncodePart(5, Described().tensors[0], 0, 4), EncodeCancel(5)}) {
    EXPECT_EQ(BytesOf(message).substr(0, 2), id);
  }
}

// As many bytes of each tensor as nobody else has.
TEST(StreamMessage, TheStartSaysHowMuchFollows) {
  static constexpr float kMemory[16] = {};
  AttendRequest request = test::SmallRequest();
  request.key.shape = {2, 4};
  request.value.shape = {3, 4};
  request.mask.boolean = TensorView{ElementType::kBool, {1, 2}, kMemory};
  request.bias = TensorView{ElementType::kFloat16, {2}, kMemory};
  request.mask.segments =
      SegmentIds{.query = {ElementType::kInt32, {2}, kMemory}, .key = {ElementType::kInt32, {3}, kMemory}};
  request.mask.blocks =
      BlockMask{.query_block_rows = 1, .key_block_keys = 1, .tensor = {ElementType::kBool, {7}, kMemory}};
  const auto message = Parsed(EncodeStart(6, std::nullopt, *DescribeRequest(request)));
  EXPECT_EQ(message.id(), 6u);
  EXPECT_FALSE(message.has_timeout_seconds());
  EXPECT_EQ(message.start().problem().query().shape_size(), 2);
  EXPECT_EQ(message.start().query_size_bytes(), 16);
  EXPECT_EQ(message.start().key_size_bytes(), 32);
  EXPECT_EQ(message.start().value_size_bytes(), 48);
  EXPECT_EQ(message.start().mask_size_bytes(), 2);
  EXPECT_EQ(message.start().bias_size_bytes(), 4);
  EXPECT_EQ(message.start().query_segment_ids_size_bytes(), 8);
  EXPECT_EQ(message.start().key_segment_ids_size_bytes(), 12);
  EXPECT_EQ(message.start().block_mask_size_bytes(), 7);
}

TEST(StreamMessage, APartIsSomeOfATensor) {
  const auto message = Parsed(EncodePart(7, Described().tensors[1], 4, 9));
  EXPECT_EQ(message.id(), 7u);
  EXPECT_EQ(message.part().tensor(), v1::TENSOR_NAME_KEY);
  EXPECT_EQ(message.part().offset_bytes(), 4);
  EXPECT_EQ(message.part().data(), std::string(reinterpret_cast<const char*>(Described().tensors[1].data) + 4, 9));
}

TEST(StreamMessage, ACancellationIsOne) {
  const auto message = Parsed(EncodeCancel(8));
  EXPECT_EQ(message.id(), 8u);
  EXPECT_TRUE(message.has_cancel());
}

v1::StreamAttendResponse PartAnswer() {
  v1::StreamAttendResponse message;
  message.set_id(9);
  message.mutable_part()->set_tensor(v1::TENSOR_NAME_WEIGHTS);
  message.mutable_part()->set_offset_bytes(std::int64_t{5} << 30);
  message.mutable_part()->set_data("abcdefghijklmnop");
  message.mutable_status()->set_code(3);
  message.mutable_status()->set_message("why");
  return message;
}

void ExpectPartAnswer(const std::string& bytes) {
  for (const std::size_t piece_bytes : {1, 3, 1000}) {
    grpc::ByteBuffer buffer = InPieces(bytes, piece_bytes);
    const auto envelope = DecodeEnvelope(&buffer);
    ASSERT_TRUE(envelope.ok()) << envelope.status();
    EXPECT_EQ(envelope->id, 9u);
    EXPECT_EQ(envelope->content, Content::kPart);
    ASSERT_TRUE(envelope->status.has_value());
    EXPECT_EQ(*envelope->status, absl::InvalidArgumentError("why"));
    const auto part = DecodePart(&buffer, envelope->section);
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_EQ(part->tensor, v1::TENSOR_NAME_WEIGHTS);
    EXPECT_EQ(part->offset_bytes, std::int64_t{5} << 30);
    std::string data(part->data.size_bytes, ' ');
    EXPECT_TRUE(CopySection(&buffer, part->data, reinterpret_cast<std::byte*>(data.data())));
    EXPECT_EQ(data, "abcdefghijklmnop");
  }
}

TEST(StreamMessage, ReadsAPart) { ExpectPartAnswer(PartAnswer().SerializeAsString()); }

TEST(StreamMessage, ReadsFieldsInAnyOrderAndSkipsUnknownOnes) {
  v1::StreamAttendResponse id;
  id.set_id(9);
  v1::StreamAttendResponse rest = PartAnswer();
  rest.clear_id();
  rest.GetReflection()->MutableUnknownFields(&rest)->AddLengthDelimited(77, "a newer server's");
  rest.mutable_part()->GetReflection()->MutableUnknownFields(rest.mutable_part())->AddVarint(78, 1);
  ExpectPartAnswer(rest.SerializeAsString() + id.SerializeAsString());
}

TEST(StreamMessage, ReadsAStatusOfOk) {
  v1::StreamAttendResponse message;
  message.set_id(1);
  message.mutable_status();
  grpc::ByteBuffer buffer = InPieces(message.SerializeAsString());
  const auto envelope = DecodeEnvelope(&buffer);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->status, absl::OkStatus());
  EXPECT_EQ(envelope->content, Content::kNone);
}

// A number that is no code of gRPC's.
TEST(StreamMessage, AnUnknownCodeIsAnError) {
  for (const int code : {-1, 17, 1000000}) {
    v1::StreamAttendResponse message;
    message.mutable_status()->set_code(code);
    grpc::ByteBuffer buffer = InPieces(message.SerializeAsString());
    const auto envelope = DecodeEnvelope(&buffer);
    ASSERT_TRUE(envelope.ok());
    EXPECT_EQ(envelope->status->code(), absl::StatusCode::kUnknown);
  }
}

TEST(StreamMessage, TwoContentsAreNone) {
  grpc::ByteBuffer buffer = InPieces(PartAnswer().SerializeAsString() + PartAnswer().SerializeAsString());
  EXPECT_EQ(DecodeEnvelope(&buffer).status().code(), absl::StatusCode::kInternal);
}

// Reads all that there is to read; it must end, and read nothing that is not there.
void ReadWhatever(const std::string& bytes) {
  grpc::ByteBuffer buffer = InPieces(bytes);
  const auto envelope = DecodeEnvelope(&buffer);
  if (!envelope.ok()) {
    EXPECT_EQ(envelope.status().code(), absl::StatusCode::kInternal);
    return;
  }
  ASSERT_LE(envelope->section.offset_bytes + envelope->section.size_bytes, bytes.size());
  static_cast<void>(DecodeResult(&buffer, envelope->section));
  static_cast<void>(DecodeResponse(&buffer, envelope->section));
  const auto part = DecodePart(&buffer, envelope->section);
  if (!part.ok()) return;
  ASSERT_LE(part->data.offset_bytes + part->data.size_bytes, bytes.size());
  std::vector<std::byte> data(part->data.size_bytes);
  EXPECT_TRUE(CopySection(&buffer, part->data, data.data()));
}

TEST(StreamMessage, ADamagedOneIsAnErrorOrAnotherMessage) {
  const google::protobuf::LogSilencer protobuf_says_what_is_wrong_with_a_string;
  test::Random random = test::SeededRandom();
  v1::StreamAttendResponse whole;
  whole.set_id(300);
  whole.mutable_response()->mutable_result()->mutable_output()->add_shape(3);
  whole.mutable_response()->set_output_data("0123456789");
  v1::StreamAttendResponse result;
  result.mutable_result()->mutable_report()->set_kernel("brgemm");
  for (const std::string& message :
       {PartAnswer().SerializeAsString(), whole.SerializeAsString(), result.SerializeAsString()}) {
    for (std::size_t size_bytes = 0; size_bytes < message.size(); ++size_bytes) {
      ReadWhatever(message.substr(0, size_bytes));
    }
    for (int i = 0; i < 2000; ++i) {
      std::string damaged = message;
      for (int byte = 0; byte < 2; ++byte) damaged[random() % damaged.size()] = static_cast<char>(random());
      ReadWhatever(damaged);
    }
  }
}

}  // namespace
}  // namespace attnd
