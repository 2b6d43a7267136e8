#include "core/summary_tasks.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>
#include <vector>

namespace attnd::core {
namespace {

Problem MakeProblem() {
  Problem problem;
  problem.batch = 2;
  problem.query_heads = 3;
  problem.key_value_heads = 3;
  problem.query_rows = 1000;
  problem.keys = 1200;
  return problem;
}

// Sequences of 700, 0 and 5 rows, and of 0, 600 and 512 keys.
Problem MakeRaggedProblem() {
  Problem problem = MakeProblem();
  problem.batch = 3;
  problem.query_rows = 700;
  problem.keys = 600;
  problem.query_offsets = {0, 700, 700, 705};
  problem.key_offsets = {0, 0, 600, 1112};
  return problem;
}

std::vector<SummaryTask> AllTasks(const Problem& problem) {
  SummaryTasks tasks(problem);
  std::vector<SummaryTask> all;
  while (const std::optional<SummaryTask> task = tasks.Next()) {
    all.push_back(*task);
    tasks.Finish(*task);
  }
  return all;
}

// How many tasks fill each row of each entry and head, and each row of its map.
std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, int> Rows(const std::vector<SummaryTask>& tasks,
                                                                         Range SummaryTask::* range) {
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, int> rows;
  for (const SummaryTask& task : tasks) {
    for (std::int64_t head = task.heads.begin; head < task.heads.end; ++head) {
      for (std::int64_t row = (task.*range).begin; row < (task.*range).end; ++row) ++rows[{task.entry, head, row}];
    }
  }
  return rows;
}

TEST(SummaryTasksTest, ThereAreNoneWithoutSummaries) { EXPECT_TRUE(AllTasks(MakeProblem()).empty()); }

TEST(SummaryTasksTest, FillEachRowOnce) {
  Problem problem = MakeProblem();
  problem.summaries.entropy = true;
  const std::vector<SummaryTask> tasks = AllTasks(problem);
  EXPECT_EQ(tasks.size(), 2 * 3 * 4);
  for (const SummaryTask& task : tasks) EXPECT_LE(task.rows.size(), kChunkRows);
  const auto rows = Rows(tasks, &SummaryTask::rows);
  EXPECT_EQ(rows.size(), 2 * 3 * 1000);
  for (const auto& [row, count] : rows) EXPECT_EQ(count, 1);
}

// A row of the map belongs to one task with all rows that it covers, also where it covers none.
TEST(SummaryTasksTest, FillEachRowOfTheMapOnce) {
  for (const std::int64_t map_rows : {1, 3, 64, 1000, 1024}) {
    Problem problem = MakeProblem();
    problem.summaries.pooled_map = {.rows = map_rows, .columns = 5};
    const std::vector<SummaryTask> tasks = AllTasks(problem);
    EXPECT_EQ(Rows(tasks, &SummaryTask::rows).size(), 2 * 3 * 1000);
    const auto rows = Rows(tasks, &SummaryTask::map_rows);
    EXPECT_EQ(static_cast<std::int64_t>(rows.size()), 2 * 3 * map_rows);
    for (const auto& [row, count] : rows) EXPECT_EQ(count, 1);
    for (const SummaryTask& task : tasks) {
      EXPECT_LE(task.map_rows.size(), kMostMapRows);
      EXPECT_EQ(task.rows.begin, task.map_rows.begin * 1000 / map_rows);
      EXPECT_EQ(task.rows.end, task.map_rows.end * 1000 / map_rows);
    }
  }
}

TEST(SummaryTasksTest, FillEachKeyOfEachSequence) {
  Problem problem = MakeRaggedProblem();
  problem.summaries.received_sum = true;
  std::set<std::pair<std::int64_t, std::int64_t>> tiles;
  for (const SummaryTask& task : AllTasks(problem)) {
    EXPECT_EQ(task.kind, SummaryTask::Kind::kKeys);
    tiles.emplace(task.entry, task.key_tile);
  }
  EXPECT_EQ(tiles, (std::set<std::pair<std::int64_t, std::int64_t>>{{1, 0}, {1, 1}, {2, 0}}));
}

// Each head waits for the one before it, part by part.
TEST(SummaryTasksTest, AddHeadsInOrder) {
  Problem problem = MakeProblem();
  problem.summaries.received_sum = true;
  problem.summaries.head_reduction = HeadReduction::kSum;
  SummaryTasks tasks(problem);
  std::vector<SummaryTask> of_first_head;
  for (int part = 0; part < 3; ++part) {
    ASSERT_FALSE(tasks.MustWait());
    of_first_head.push_back(*tasks.Next());
    EXPECT_EQ(of_first_head.back().heads.begin, 0);
  }
  EXPECT_TRUE(tasks.MustWait());
  tasks.Finish(of_first_head[1]);
  EXPECT_TRUE(tasks.MustWait());
  tasks.Finish(of_first_head[0]);
  ASSERT_FALSE(tasks.MustWait());
  const SummaryTask of_second_head = *tasks.Next();
  EXPECT_EQ(of_second_head.heads.begin, 1);
  EXPECT_EQ(of_second_head.part, 0);
  ASSERT_FALSE(tasks.MustWait());
  EXPECT_EQ(tasks.Next()->part, 1);
  EXPECT_TRUE(tasks.MustWait());
}

TEST(SummaryTasksTest, CombineAllHeadsInOne) {
  Problem problem = MakeProblem();
  problem.summaries.heads = {0, 2};
  problem.summaries.query_rows = {5, 6, 999};
  problem.summaries.top_keys = 3;
  problem.summaries.entropy = true;
  problem.summaries.head_reduction = HeadReduction::kMean;
  const std::vector<SummaryTask> tasks = AllTasks(problem);
  ASSERT_EQ(tasks.size(), 2 * 3);
  EXPECT_EQ(tasks[0].kind, SummaryTask::Kind::kRows);
  EXPECT_EQ(tasks[1].kind, SummaryTask::Kind::kRows);
  EXPECT_EQ(tasks[2].kind, SummaryTask::Kind::kCombinedRows);
  EXPECT_EQ(tasks[2].heads.size(), 2);
  for (const SummaryTask& task : tasks) EXPECT_EQ(task.rows.size(), 3);
}

TEST(SummaryLayoutTest, FindsTheRowsOfEachSequence) {
  Problem problem = MakeRaggedProblem();
  problem.summaries.query_rows = {1, 699, 700, 704};
  const SummaryLayout layout(problem);
  EXPECT_EQ(layout.Rows(0).size(), 2);
  EXPECT_EQ(layout.Rows(1).size(), 0);
  EXPECT_EQ(layout.Rows(2).begin, 2);
  EXPECT_EQ(layout.Rows(2).end, 4);
  EXPECT_EQ(layout.QueryRow(0, 1), 699);
  EXPECT_EQ(layout.QueryRow(2, 2), 0);
  EXPECT_EQ(layout.QueryRow(2, 3), 4);
  // [H', S'] and [H', Tk].
  EXPECT_EQ(layout.RowIndex(2, 1, 3), 4 + 3);
  EXPECT_EQ(layout.KeysIndex(2, 1), 1112 + 600);
}

}  // namespace
}  // namespace attnd::core
