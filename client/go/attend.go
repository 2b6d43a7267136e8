// Three tokens attend to each other, and no token to a later one: through grpc-go and what protoc makes of the interface.
//
// In this folder, with a server at the address in the last line:
//
//	go generate
//	go run . 127.0.0.1:50051
//
// On Debian this takes golang-go and protobuf-compiler; protoc's plugins for Go come as go.mod says.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "attnd/client/go/attndv1"
)

//go:generate env GOBIN=$PWD/bin go install tool
//go:generate env PATH=$PWD/bin:$PATH protoc -I ../../proto --go_out=. --go-grpc_out=. --go_opt=module=attnd/client/go,Mattnd/v1/attention.proto=attnd/client/go/attndv1 --go-grpc_opt=module=attnd/client/go,Mattnd/v1/attention.proto=attnd/client/go/attndv1 attnd/v1/attention.proto

// What the tokens are, and a value of each.
var (
	tokens = [][]float32{{1, 0}, {0, 1}, {1, 1}}
	values = [][]float32{{1, 10}, {2, 20}, {3, 30}}
)

func describe(matrix [][]float32) *pb.TensorDescription {
	return &pb.TensorDescription{
		ElementType: pb.ElementType_ELEMENT_TYPE_FLOAT32,
		Shape:       []int64{int64(len(matrix)), int64(len(matrix[0]))},
	}
}

func toBytes(matrix [][]float32) []byte {
	var data []byte
	for _, row := range matrix {
		for _, element := range row {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(element))
		}
	}
	return data
}

func toMatrix(description *pb.TensorDescription, data []byte) [][]float32 {
	matrix := make([][]float32, description.Shape[0])
	for i := range matrix {
		matrix[i] = make([]float32, description.Shape[1])
		for j := range matrix[i] {
			matrix[i][j] = math.Float32frombits(binary.LittleEndian.Uint32(data))
			data = data[4:]
		}
	}
	return matrix
}

// selfAttention asks how the tokens attend to each other. Without a scale the scores are multiplied by 1/√2.
func selfAttention(scale *float64) *pb.AttendRequest {
	return &pb.AttendRequest{
		Problem: &pb.AttentionProblem{
			Query: describe(tokens),
			KeyValueSource: &pb.AttentionProblem_Tensors{
				Tensors: &pb.KeyValueTensors{Key: describe(tokens), Value: describe(values)},
			},
			Scale:         scale,
			Mask:          &pb.Mask{Causal: &pb.CausalMask{}},
			ReturnWeights: true,
		},
		QueryData: toBytes(tokens),
		KeyData:   toBytes(tokens),
		ValueData: toBytes(values),
	}
}

// attendAll sends the requests on one call, without waiting for answers, and gives the answers in the requests' order.
func attendAll(ctx context.Context, attention pb.AttentionServiceClient, requests []*pb.AttendRequest) ([]*pb.AttendResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // The call, where it has not ended by itself.
	stream, err := attention.StreamAttend(ctx)
	if err != nil {
		return nil, err
	}

	// Beside the reading: the server takes no more while too many answers wait to be read.
	go func() {
		for i, request := range requests {
			message := &pb.StreamAttendRequest{Id: uint64(i + 1), Content: &pb.StreamAttendRequest_Request{Request: request}}
			if stream.Send(message) != nil {
				return // Recv says why.
			}
		}
		stream.CloseSend()
	}()

	answers := make([]*pb.AttendResponse, len(requests))
	for {
		message, err := stream.Recv() // In the order in which they are ready.
		if errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return nil, err
		}
		if end := message.GetStatus(); end.GetCode() != 0 {
			return nil, status.Errorf(codes.Code(end.Code), "request %d: %s", message.Id, end.Message)
		}
		answers[message.Id-1] = message.GetResponse()
	}
}

func run(address string) error {
	// Serves a whole program, from any number of goroutines. Of itself grpc-go takes no answer above 4 MiB.
	channel, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return err
	}
	defer channel.Close()
	attention := pb.NewAttentionServiceClient(channel)
	// Without it a call waits as long as the server computes.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	answer, err := attention.Attend(ctx, selfAttention(nil))
	if err != nil {
		return err
	}
	fmt.Println("weights", toMatrix(answer.Result.Weights, answer.WeightsData))
	fmt.Println("output", toMatrix(answer.Result.Output, answer.OutputData))
	fmt.Printf("%s took %.6f s\n", answer.Result.Report.Kernel, answer.Result.Report.ComputeSeconds)

	scales := []float64{1, 4, 16}
	var requests []*pb.AttendRequest
	for _, scale := range scales {
		requests = append(requests, selfAttention(proto.Float64(scale)))
	}
	answers, err := attendAll(ctx, attention, requests)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		output := toMatrix(answer.Result.Output, answer.OutputData)
		fmt.Printf("the last token's output, scores times %g: %v\n", scales[i], output[2])
	}
	return nil
}

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := run(address); err != nil {
		failure := status.Convert(err)
		fmt.Fprintf(os.Stderr, "%s: %s\n", failure.Code(), failure.Message())
		os.Exit(1)
	}
}
