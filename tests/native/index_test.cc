#include "native/manifest/index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace backupkit {
namespace {

IndexItem part() {
  IndexItem item;
  item.file_name = item.path = "part.0.tar";
  item.size = 10240;
  item.mode = 0100600;
  item.modification = {1700000000, 2};
  item.hash = "xxh3:00112233445566778899aabbccddeeff";
  item.entries = 7;
  return item;
}

IndexItem big_file(std::string path) {
  IndexItem item;
  item.file_name = "0123456789abcdef.mp4";
  item.path = std::move(path);
  item.size = std::numeric_limits<int64_t>::max();
  item.mode = 0100640;
  item.access = {-5, 999999999};
  item.modification = {std::numeric_limits<int64_t>::min(), 0};
  item.is_big_file = true;
  item.hash = "xxh3:ff112233445566778899aabbccddeeff";
  item.uid = 4294967294;
  item.gid = 1000;
  item.links = {"other/name", "third"};
  item.xattrs = {{"user.note", std::string("\0\xFF=", 3)}, {"security.capability", ""}};
  item.holes = {{0, 4096}, {8192, item.size - 8192}};
  return item;
}

// The index with one item whose fields are `text`.
std::string with(const std::string& name, const std::string& path, const std::string& more = "") {
  return R"([{"fileName":")" + name + R"(","information":{"path":")" + path +
         R"(","stat":{"st_size":1,"st_mode":33184,"st_atim":{"tv_sec":0,"tv_nsec":0},)" +
         R"("st_mtim":{"tv_sec":0,"tv_nsec":0}}},"isUserTar":false,"isBigFile":true)" + more + "}]";
}

TEST(Index, read_gives_what_was_written) {
  IndexItem tar = big_file("a/user.tar");
  tar.file_name = "fedcba9876543210.tar";
  tar.is_user_tar = true;
  tar.links.clear();
  const std::vector<IndexItem> items{part(), big_file("a/b.mp4"), tar};
  const auto read = read_index(write_index(items));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, items);
  EXPECT_TRUE(read_index(write_index({})).value().empty());
}

TEST(Index, paths_that_need_it_are_percent_encoded) {
  for (const std::string path : {"a;b", "a\nb", "\xFF\xFE/x", "100%", "Grüße", "q\"\\"}) {
    IndexItem item = big_file(path);
    const std::string text = write_index({item});
    EXPECT_EQ(text.find("encodeFlag") != std::string::npos, path != "Grüße" && path != "q\"\\");
    EXPECT_EQ(read_index(text).value().at(0), item) << path;
  }
  IndexItem linked = big_file("plain");
  linked.links = {"\xFF"};
  EXPECT_EQ(read_index(write_index({linked})).value().at(0), linked);
  IndexItem labelled = big_file("plain");
  labelled.xattrs = {{"user.\xFF%", "value"}};
  EXPECT_EQ(read_index(write_index({labelled})).value().at(0), labelled);
}

TEST(Index, golden) {
  EXPECT_EQ(
      write_index({part()}),
      R"([{"fileName":"part.0.tar","information":{"path":"part.0.tar","stat":{"st_size":10240,)"
      R"("st_mode":33152,"st_atim":{"tv_sec":0,"tv_nsec":0},"st_mtim":{"tv_sec":1700000000,)"
      R"("tv_nsec":2}}},"isUserTar":false,"isBigFile":false,"size":10240,)"
      R"("hash":"xxh3:00112233445566778899aabbccddeeff","entries":7}])"
      "\n");
}

TEST(Index, golden_of_a_big_file) {
  IndexItem item = big_file("a \"b\"");
  EXPECT_EQ(
      write_index({item}),
      R"([{"fileName":"0123456789abcdef.mp4","information":{"path":"a \"b\"","stat":)"
      R"({"st_size":9223372036854775807,"st_mode":33184,"st_atim":{"tv_sec":-5,)"
      R"("tv_nsec":999999999},"st_mtim":{"tv_sec":-9223372036854775808,"tv_nsec":0}}},)"
      R"("isUserTar":false,"isBigFile":true,"size":9223372036854775807,)"
      R"("hash":"xxh3:ff112233445566778899aabbccddeeff","uid":4294967294,"gid":1000,)"
      R"("links":["other/name","third"],"xattrs":{"security.capability":"","user.note":"AP89"},)"
      R"("holes":[[0,4096],[8192,9223372036854767615]]}])"
      "\n");
  item.hash = "\xFF";
  EXPECT_NE(write_index({item}).find("\"hash\":\"\xEF\xBF\xBD\""), std::string::npos) << "replaced";
}

TEST(Index, a_big_file_s_attributes_are_base64_and_its_holes_pairs) {
  const std::string text = write_index({big_file("a")});
  EXPECT_NE(text.find(R"("xattrs":{"security.capability":"","user.note":"AP89"},)"
                      R"("holes":[[0,4096],[8192,9223372036854767615]])"),
            std::string::npos)
      << text;
}

TEST(Index, reads_an_index_of_the_seed_system_and_unknown_fields) {
  const auto read = read_index(with("9c1f0e3ab77d2c10.db", "a/b.db", R"(,"new":[{}])"));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->at(0).size, 1U);
  EXPECT_TRUE(read->at(0).is_big_file);
  EXPECT_EQ(read->at(0).hash, "");
}

TEST(Index, refuses_names_and_paths_that_lead_out) {
  ASSERT_TRUE(read_index(with("a", "b")));
  for (const std::string name : {"", ".", "..", "a/b", "a b", "../x", "ä"}) {
    EXPECT_FALSE(read_index(with(name, "b"))) << name;
  }
  EXPECT_FALSE(read_index(with(std::string(256, 'a'), "b")));
  for (const std::string path : {"", "/a", "..", "a/../b", "a//b", "a/", ".", "a/./b", "a/.."}) {
    EXPECT_FALSE(read_index(with("a", path))) << path;
  }
  EXPECT_FALSE(read_index(with("a", "\\u0000")));
  EXPECT_FALSE(read_index(with("a", "%2E%2E", R"(,"encodeFlag":1)")));
  EXPECT_TRUE(read_index(with("a", "%2E%2E")));
  EXPECT_FALSE(read_index(with("a", "%G0", R"(,"encodeFlag":1)")));
  EXPECT_FALSE(read_index(with("a", "b", R"(,"links":["../c"])")));
}

TEST(Index, has_at_most_a_million_items) {
  std::string text = "[0";
  for (size_t i = 1; i < kMaxIndexItems; ++i) text += ",0";
  const auto most = read_index(text + "]");
  ASSERT_FALSE(most);
  EXPECT_FALSE(most.error().message().contains("1000000")) << "it is the items that are none";
  const auto more = read_index(text + ",0]");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().context, "the index has more than 1000000 items");
}

TEST(Index, refuses_wrong_types_and_ranges) {
  for (const std::string more : {R"(,"size":-1)",
                                 R"(,"size":1.5)",
                                 R"(,"size":"1")",
                                 R"(,"size":18446744073709551615)",
                                 R"(,"size":99999999999999999999999)",
                                 R"(,"hash":1)",
                                 R"(,"uid":4294967296)",
                                 R"(,"xattrs":[])",
                                 R"(,"xattrs":{"a":1})",
                                 R"(,"xattrs":{"a":"?"})",
                                 R"(,"xattrs":{"":""})",
                                 R"(,"xattrs":{"%61":"","a":""},"encodeFlag":1)",
                                 R"(,"holes":{})",
                                 R"(,"holes":[1])",
                                 R"(,"holes":[[0]])",
                                 R"(,"holes":[[0,0]])",
                                 R"(,"holes":[[0,2]])",
                                 R"(,"holes":[[1,1]])",
                                 R"(,"holes":[[0,-1]])",
                                 R"(,"holes":[[0,18446744073709551615]])",
                                 R"(,"size":9,"holes":[[4,1],[2,1]])",
                                 R"(,"size":9,"holes":[[4,1],[5,1]])",
                                 R"(,"entries":null)",
                                 R"(,"links":"a")",
                                 R"(,"links":[1])",
                                 R"(,"encodeFlag":2)",
                                 R"(,"isBigFile":1)",
                                 R"(,"isUserTar":"no")",
                                 R"(,"information":[])"}) {
    const auto read = read_index(with("a", "b", more));
    ASSERT_FALSE(read) << more;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
  }
  for (const std::string text : {"", "{}", "[1]", "[{}]", "[[]]", "null", "[", "[{]", "\xFF"}) {
    EXPECT_FALSE(read_index(text)) << text;
  }
  EXPECT_FALSE(read_index(write_index({part(), part()})));
  EXPECT_FALSE(read_index(std::string(100'000, '[')));
}

TEST(Index, survives_truncations_and_flips) {
  const std::string text = write_index({part(), big_file("a;b")});
  for (size_t cut = 0; cut + 2 < text.size(); ++cut) {
    EXPECT_FALSE(read_index(text.substr(0, cut))) << cut;
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (const unsigned bit : {0x01U, 0x02U, 0x10U, 0x20U, 0x80U, 0xFFU}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ bit);
      (void)read_index(flipped);  // either answer, but one
    }
  }
}

}  // namespace
}  // namespace backupkit
