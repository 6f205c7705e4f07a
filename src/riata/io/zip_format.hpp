// Signatures and sizes of zip archives (PKWARE APPNOTE 6.3.10, section 4.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace riata::zip {

inline constexpr std::string_view local_signature = "PK\3\4", entry_signature = "PK\1\2", end_signature = "PK\5\6";
inline constexpr std::string_view locator64_signature = "PK\6\7", end64_signature = "PK\6\6";
inline constexpr std::size_t local_bytes = 30, end_bytes = 22, locator64_bytes = 20, end64_bytes = 56;
inline constexpr std::size_t max_comment_bytes = 65535;
inline constexpr std::uint16_t zip64_field = 1;
inline constexpr std::uint16_t stored = 0, deflated = 8;
inline constexpr std::uint64_t max_u32 = 0xffffffff, max_u16 = 0xffff;
inline constexpr std::uint64_t max_deflate_ratio = 1032;  // 258 bytes from two bits; bounds what a damaged size can claim

}  // namespace riata::zip
